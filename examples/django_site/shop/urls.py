"""What the project answers."""

import os
import time

from django.http import HttpRequest, JsonResponse
from django.urls import path

from callboard.integrations.django import service


def index(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pid": os.getpid()})


def slow(request: HttpRequest) -> JsonResponse:
    time.sleep(float(request.GET.get("seconds", "1")))
    return JsonResponse({"pid": os.getpid()})


def next_one(request: HttpRequest) -> JsonResponse:
    with service("orders", version="^1.0").pick() as endpoint:
        return JsonResponse({"call": f"http://{endpoint.address}:{endpoint.port}"})


urlpatterns = [path("", index), path("slow", slow), path("next", next_one)]
