"""A Django project that is found while it serves."""

import os

SECRET_KEY = os.environ.get("SECRET_KEY", "only for trying it out")
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["callboard.integrations.django"]
MIDDLEWARE = ["callboard.integrations.django.middleware.CallboardMiddleware"]
CALLBOARD = {"SERVICE": "orders", "VERSION": "1.4.0", "HEALTH_PATH": "/health", "READY_PATH": "/ready"}
