# SPDX-License-Identifier: Apache-2.0
"""The views: JSON in, JSON out."""

import json
from datetime import timedelta

from celery import Celery
from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from shop.models import Order, Stock

tasks = Celery("orders", broker=settings.REDIS_URL)


@require_GET
def stock(_request):
    """What is left of everything."""
    return JsonResponse(dict(Stock.objects.values_list("product", "amount")))


@require_GET
def stock_of(_request, product):
    """What is left of one product."""
    return JsonResponse({"amount": get_object_or_404(Stock, product=product).amount})


@require_POST
def order(request):
    """Takes the goods off the shelf, keeps the order, and has the mailer send a receipt. 409 when too few are left."""
    wish = json.loads(request.body)
    with transaction.atomic():
        left = Stock.objects.filter(product=wish["product"], amount__gte=wish["amount"])
        if not left.update(amount=F("amount") - wish["amount"]):
            return JsonResponse({"error": "sold out"}, status=409)
        sold = Order.objects.create(product=wish["product"], amount=wish["amount"], total=wish["total"])
    tasks.send_task("mailer.receipt", args=[sold.id, wish["name"], sold.amount, sold.total])
    return JsonResponse({"id": sold.id, "total": sold.total}, status=201)


@require_GET
def report(request):
    """Turnover of each hour of the last days. The whole table is made in memory, so ask for few."""
    now = timezone.now()
    hours = int(request.GET.get("days", 30)) * 24
    rows = [{"hours_ago": hour, "turnover": 0, "note": f"hour {hour} of {hours}"} for hour in range(hours)]
    sold = Order.objects.filter(created__gt=now - timedelta(days=1)).aggregate(total=Sum("total"))["total"]
    rows[0]["turnover"] = sold or 0
    return JsonResponse({"hours": hours, "turnover": sum(row["turnover"] for row in rows)})


@require_GET
def healthz(_request):
    """For the container's health check."""
    return HttpResponse("ok")
