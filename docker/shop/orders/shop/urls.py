# SPDX-License-Identifier: Apache-2.0
"""Which view answers which path."""

from django.urls import path

from shop import views

urlpatterns = [
    path("stock", views.stock),
    path("stock/<int:product>", views.stock_of),
    path("orders", views.order),
    path("report", views.report),
    path("healthz", views.healthz),
]
