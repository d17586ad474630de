"""The service's OpenAPI description: BentoML's, with our own words, errors and the v2 API."""

from typing import Any

from slipway import __version__
from slipway.cases import CASES
from slipway.core.case import Case
from slipway.core.feature import Feature, features
from slipway.core.record import example
from slipway.serving.api.binary import ALL_OUTPUTS, EXTENSION, HEADER, OUTPUT, SIZE
from slipway.serving.http.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_RECORDS, RECEIVE_TIMEOUT
from slipway.serving.http.request import HEALTH
from slipway.serving.http.uploads import FIELD, FORM
from slipway.serving.settings import TOKENS

DESCRIPTION = (
    "The models of the course *Python machine learning in practice*, behind two APIs. Each takes records and answers "
    "with a result for each, in the same order, and the version of the model that gave them. Open one and press "
    "*Execute*. Every response has an `X-Request-ID`, which stands in the log, too."
)
MODELS, PROTOCOL, OPERATION = "Models", "Open Inference Protocol", "Operation"
TAGS = [
    {"name": MODELS, "description": "Records in, results out"},
    {"name": PROTOCOL, "description": "The same models for KServe's and Triton's clients: columns in, columns out"},
    {"name": OPERATION, "description": "For probes and monitors"},
]

ERRORS = {
    400: "The request is not valid: the error says what to change",
    401: f"The service asks for a token (`{TOKENS}`), and the request bears none that it knows",
    408: f"The request was not complete within {RECEIVE_TIMEOUT:g} seconds",
    413: f"The body is larger than {MAX_BODY_BYTES:,} bytes",
    415: "The body is not of the kind that is read here",
    429: "Too many requests at this moment: `Retry-After` says how many seconds to wait",
    431: f"The headers are larger than {MAX_HEAD_BYTES:,} bytes, or more than {MAX_HEADERS}",
    500: "The service failed: its log has the request's id",
    503: "Not ready: the service is starting or stopping",
}
OF_HEALTH = [408, 431]
OF_GET = [401, 429, *OF_HEALTH]
OF_POST = [400, 413, 415, 500, *OF_GET]
READINESS = {"/readyz", "/v2/health/ready", *(f"/v2/models/{name}/ready" for name in CASES)}

STRING = {"type": "string"}
SHAPE = {"type": "array", "items": {"type": "integer"}}
PARAMETERS = {
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "number", "boolean"], "description": "passed over if not known"},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["error", "detail", "request_id"],
        "properties": {
            "error": {"type": "string", "example": "invalid request"},
            "detail": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "record": {"type": "integer", "description": "which record, from 0", "example": 0},
                        "field": {"type": "string", "description": "which of its fields", "example": "weight"},
                        "problem": {"type": "string", "example": "Input should be a valid number"},
                    },
                },
            },
            "request_id": {"type": "string", "example": "6f1c1c0f5c4b4d0d8a3f0f3b8f2a7d11"},
        },
    },
    "ProtocolError": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string", "example": "input 'weight': 700 is too large"}},
    },
    "InputParameters": PARAMETERS
    | {"description": f"Extensions: a tensor without `data` has `{SIZE}`, the number of its bytes after the JSON"},
    "OutputParameters": PARAMETERS
    | {
        "description": f"Extensions: `{OUTPUT}` asks for this output as bytes after the JSON, or not",
        "properties": {OUTPUT: {"type": "boolean"}},
    },
    "RequestParameters": PARAMETERS
    | {
        "description": f"Extensions: `{ALL_OUTPUTS}` asks for all outputs as bytes after the JSON",
        "properties": {ALL_OUTPUTS: {"type": "boolean"}},
    },
    "ServerMetadata": {
        "type": "object",
        "required": ["name", "version", "extensions"],
        "properties": {"name": STRING, "version": STRING, "extensions": {"type": "array", "items": STRING}},
        "example": {"name": "slipway", "version": __version__, "extensions": [EXTENSION]},
    },
    "Live": {"type": "object", "required": ["live"], "properties": {"live": {"const": True}}},
    "Ready": {
        "type": "object",
        "required": ["ready"],
        "properties": {"ready": {"const": True}, "live": {"const": True}, "name": STRING},
    },
    "TensorMetadata": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {"name": STRING, "datatype": STRING, "shape": SHAPE | {"description": "-1: any number of rows"}},
        "example": {"name": "weight", "datatype": "FP64", "shape": [-1, 1]},
    },
    "ModelMetadata": {
        "type": "object",
        "required": ["name", "versions", "platform", "inputs", "outputs"],
        "properties": {
            "name": STRING,
            "versions": {"type": "array", "items": STRING},
            "platform": STRING,
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}},
        },
    },
    "InferenceResponse": {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": STRING,
            "model_version": STRING,
            "id": STRING | {"description": "as in the request, if it had one"},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "datatype", "shape", "data"],
                    "properties": {
                        "name": STRING,
                        "datatype": STRING,
                        "shape": SHAPE,
                        "data": {"type": "array", "items": {"type": ["number", "string", "boolean"]}},
                    },
                },
            },
        },
    },
}
BINARY = {
    "application/octet-stream": {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": f"The JSON, of which `{HEADER}` says how many bytes it has, and then the tensors in bytes",
        }
    }
}


def in_json(schema: dict[str, Any]) -> dict[str, Any]:
    """A body of this schema."""
    return {"application/json": {"schema": schema}}


def named(schema: str) -> dict[str, Any]:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{schema}"}


def responses(path: str, answer: dict[str, Any], errors: list[int]) -> dict[str, Any]:
    """What an operation may answer: the answer, and these errors in its API's shape."""
    shape = in_json(named("ProtocolError" if path.startswith("/v2") else "Error"))
    if path in READINESS:
        errors = [*errors, 503]
    return {"200": answer} | {str(each): {"description": ERRORS[each], "content": shape} for each in sorted(errors)}


def tensor(about: Feature, description: str) -> dict[str, Any]:
    """The schema of the input for a feature."""
    value = about.rule
    if about.is_nullable:
        value = {"anyOf": [value, {"type": "null", "description": "not known; a NaN is taken for it"}]}
    if about.is_padded:
        value = {"anyOf": [value, {"const": 0, "description": "fills a shorter list, at its end"}]}
    row = {"type": "array", "items": value, "minItems": about.least, "maxItems": about.most}
    rows = {"type": "array", "minItems": 1, "maxItems": MAX_RECORDS}
    flat = {"type": "array", "minItems": about.least, "maxItems": MAX_RECORDS * about.most, "items": value}
    size = {"type": "integer", "minimum": 1, "maximum": MAX_RECORDS}
    return {
        "title": about.name,
        "description": description,
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "additionalProperties": False,
        "properties": {
            "name": {"const": about.name},
            "shape": {
                "description": "[rows, values in each]" if about.is_list else "[rows] or [rows, 1]",
                "type": "array",
                "items": size | ({"minimum": min(about.least, 1)} if about.is_list else {}),
                "minItems": 2 if about.is_list else 1,
                "maxItems": 2,
            },
            "datatype": {"const": about.datatype},
            "parameters": named("InputParameters"),
            "data": {"anyOf": [flat, rows | {"items": row}]},
        },
    }


def inference_request(case: Case) -> dict[str, Any]:
    """The schema of an inference request for a case, with the example of its record."""
    schemas = case.record.model_json_schema()["properties"]
    given, abouts = example(case.record), features(case.record)
    output = {
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": {"name": STRING, "parameters": named("OutputParameters")},
    }
    inputs = [
        {
            "name": name,
            "shape": [1, len(given[name]) if about.is_list else 1],
            "datatype": about.datatype,
            "data": given[name] if about.is_list else [given[name]],
        }
        for name, about in abouts.items()
    ]
    return {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": ["string", "null"], "description": "the response has it, too"},
            "model_name": {"const": case.name, "description": "not of the protocol, but KServe's client sends it"},
            "inputs": {
                "description": "one for each feature, in any order",
                "type": "array",
                "items": {
                    "oneOf": [tensor(about, schemas[name].get("description", "")) for name, about in abouts.items()]
                },
                "minItems": len(abouts),
                "maxItems": len(abouts),
            },
            "outputs": {
                "description": "those wanted; left out, null or empty: all",
                "type": ["array", "null"],
                "items": output,
            },
            "parameters": named("RequestParameters"),
        },
        "example": {"id": "a-1", "inputs": inputs},
    }


def protocol_paths(questions: dict[str, str]) -> dict[str, Any]:
    """The operations of the v2 API. questions: what each case answers, by the case's name"""

    def get(path: str, operation: str, summary: str, schema: str) -> dict[str, Any]:
        answer = {"description": "Successful Response", "content": in_json(named(schema))}
        errors = OF_HEALTH if path in HEALTH else OF_GET
        method = {
            "operationId": operation,
            "tags": [PROTOCOL],
            "summary": summary,
            "responses": responses(path, answer, errors),
        }
        return {path: {"get": method}}

    paths: dict[str, Any] = {}
    for name, case in CASES.items():
        model = f"/v2/models/{name}"
        answer = {
            "description": "Successful Response",
            "headers": {HEADER: {"description": "bytes of the JSON, if tensors follow", "schema": {"type": "integer"}}},
            "content": in_json(named("InferenceResponse")) | BINARY,
        }
        infer = {
            "operationId": f"infer_{name}",
            "tags": [PROTOCOL],
            "summary": questions[name],
            "description": f"Also at `{model}/versions/VERSION/infer`; the version served is in the metadata.",
            "requestBody": {"required": True, "content": in_json(inference_request(case)) | BINARY},
            "responses": responses(model, answer, OF_POST),
        }
        paths[f"{model}/infer"] = {"post": infer}
        paths |= get(model, f"metadata_{name}", "What the model takes and answers", "ModelMetadata")
        paths |= get(f"{model}/ready", f"ready_{name}", "Whether the model can be asked", "Ready")
    paths |= get("/v2", "server_metadata", "What this server is", "ServerMetadata")
    paths |= get("/v2/health/live", "server_live", "Whether it runs", "Live")
    paths |= get("/v2/health/ready", "server_ready", "Whether all of its models can be asked", "Ready")
    return paths


def request_body(case: Case, body: dict[str, Any]) -> dict[str, Any]:
    """What a case's v1 API reads: records in JSON, as BentoML describes them, or a file."""
    if case.reads is None:
        return body | {"required": True}
    file = {"type": "string", "format": "binary", "description": case.reads.__doc__}
    form = {"type": "object", "required": [FIELD], "additionalProperties": False, "properties": {FIELD: file}}
    return {"required": True, "content": {FORM: {"schema": form}}}


def describe(specification: dict[str, Any]) -> dict[str, Any]:
    """BentoML's description, made into this service's."""
    specification["openapi"] = "3.1.0"  # BentoML says 3.0.2, but pydantic's schemas are JSON schemas as 3.1 has them
    specification["info"] = {"title": "Slipway", "version": __version__, "description": DESCRIPTION}
    specification["tags"] = TAGS
    specification["security"] = [{}, {"token": []}]  # asked for where the service has tokens
    components = specification["components"]
    components["schemas"] |= SCHEMAS
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}

    paths = specification["paths"]
    routes = {case.route: name for name, case in CASES.items()}
    questions = {}
    for path, methods in paths.items():
        for method in methods.values():
            method["tags"] = [MODELS if path in routes else OPERATION]
            errors = OF_HEALTH if path in HEALTH else OF_GET
            if path in routes:
                questions[routes[path]] = method["summary"] = method.pop("description")
                method["requestBody"] = request_body(CASES[routes[path]], method["requestBody"])
                errors = OF_POST
            method["responses"] = responses(path, method["responses"]["200"], errors)
    paths |= protocol_paths(questions)
    for path in HEALTH & paths.keys():
        paths[path]["get"]["security"] = []
    return specification
