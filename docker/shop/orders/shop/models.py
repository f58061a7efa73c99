# SPDX-License-Identifier: Apache-2.0
"""The two tables."""

from django.db import models


class Stock(models.Model):
    """How many of a product are left."""

    product = models.IntegerField(unique=True)
    amount = models.PositiveIntegerField()


class Order(models.Model):
    """What somebody bought; the total is in cents."""

    product = models.IntegerField()
    amount = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    created = models.DateTimeField(auto_now_add=True)
