"""The OpenAPI document of the service, derived from the cards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving.contract import example, schema
from training.family import Card

_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_ITEM_ERROR = {
    "type": "object",
    "properties": {"ok": {"const": False}, "error": {"type": "string"}},
    "required": ["ok", "error"],
}


def document(cards: Iterable[Card], items_at_most: int) -> dict[str, Any]:
    """OpenAPI 3.1 with an example for every endpoint."""
    paths = {card.endpoint: {"post": _post(card, items_at_most)} for card in cards}
    paths["/v1/models"] = {
        "get": {"summary": "Versions that serve, shadow or were refused", "responses": {"200": {"description": "seats"}}}
    }
    for path, told in (
        ("/healthz", "alive"),
        ("/readyz", "ready: the registry was read, and the models that it names are loaded or refused"),
        ("/metrics", "Prometheus metrics"),
    ):
        paths[path] = {"get": {"summary": told, "responses": {"200": {"description": told}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Shelfcast", "version": "1", "description": "Decisions by the promoted models: lists in, lists out."},
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
        "paths": paths,
    }


def _post(card: Card, items_at_most: int) -> dict[str, Any]:
    return {
        "summary": card.doc,
        "operationId": card.name,
        "requestBody": {"required": True, "content": {"application/json": {
            "schema": {
                "type": "object", "required": ["items"],
                "properties": {"items": {"type": "array", "maxItems": items_at_most, "items": schema(card.request)}},
            },
            "example": {"items": [example(card.request)]},
        }}},
        "responses": {
            "200": {"description": "one answer an item, in order", "content": {"application/json": {
                "schema": _answer_schema(card),
                "example": {"model_version": "3", "items": [{"ok": True, "results": [example(card.response)]}]},
            }}},
            **{code: _error(told) for code, told in _FAILURES.items()},
        },
    }  # fmt: skip


_FAILURES = {
    "400": "the body is not JSON", "401": "no known token", "403": "no tokens are set, and the caller is not this machine",
    "413": "too many bytes or items", "422": "the body is not {\"items\": [...]}", "429": "too many requests at once",
    "503": "no champion yet, or the online features are out of reach", "504": "it took too long",
}  # fmt: skip


def _answer_schema(card: Card) -> dict[str, Any]:
    known_at = {"type": "string", "format": "date-time", "description": "when the features that answered were known, UTC"}
    good = {
        "type": "object",
        "properties": {
            "ok": {"const": True},
            **({"known_at": known_at} if card.feature_service else {}),
            "results": {"type": "array", "items": schema(card.response)},
        },
        "required": ["ok", "results"],
    }
    items = {"type": "array", "items": {"oneOf": [good, _ITEM_ERROR]}}
    return {"type": "object", "properties": {"model_version": {"type": "string"}, "items": items}, "required": ["model_version", "items"]}


def _error(told: str) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
