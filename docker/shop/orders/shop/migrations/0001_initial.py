# SPDX-License-Identifier: Apache-2.0
"""Both tables, and a well filled store."""

from django.db import migrations, models


def fill(apps, _schema_editor):
    """A million of each."""
    stock = apps.get_model("shop", "Stock")
    stock.objects.bulk_create(stock(product=number, amount=1_000_000) for number in range(1, 6))


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Stock",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("product", models.IntegerField(unique=True)),
                ("amount", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("product", models.IntegerField()),
                ("amount", models.PositiveIntegerField()),
                ("total", models.PositiveIntegerField()),
                ("created", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunPython(fill),
    ]
