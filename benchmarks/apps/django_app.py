"""The house model behind Django, in one file: `gunicorn --threads 4 django_app:app`."""

import json
import os
from pathlib import Path

import joblib
import pandas as pd
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/house_price.joblib")

settings.configure(ALLOWED_HOSTS=["127.0.0.1", "localhost"], ROOT_URLCONF=__name__)
model = joblib.load(MODEL)


@require_POST
def predict(request: HttpRequest) -> JsonResponse:
    houses = pd.DataFrame(json.loads(request.body)["records"])
    return JsonResponse({"prices": model.predict(houses).tolist()})


urlpatterns = [path("predict", predict)]
app = get_wsgi_application()
