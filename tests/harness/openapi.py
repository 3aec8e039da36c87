# SPDX-License-Identifier: MIT
"""/openapi.json as tests walk it: what it does not describe is not tested, so new routes are
covered as soon as they are described."""
import dataclasses

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclasses.dataclass
class Operation:
    document: dict
    method: str
    path: str
    item: dict

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def is_page(self):
        """A web page or one of its files: its query string is the page's own affair."""
        return self.item["tags"] == ["pages"]

    def parameters(self, place):
        """{name: the parameter's object} of those in "query" or in "path"."""
        return {parameter["name"]: parameter
                for parameter in self.item.get("parameters", []) if parameter["in"] == place}

    @property
    def is_stream(self):
        """Whether it answers for as long as the client stays."""
        return "text/event-stream" in self.response(200)["content"]

    @property
    def body(self):
        """The schema of the JSON body with references followed, or None."""
        if "requestBody" not in self.item:
            return None
        return resolve(self.document,
                       self.item["requestBody"]["content"]["application/json"]["schema"])

    def response(self, status):
        """What is declared for a status, with references followed, or None."""
        declared = self.item["responses"].get(str(status))
        return declared and resolve(self.document, declared)


def resolve(document, value):
    """Follows "$ref" as far as it goes; KeyError when it leads nowhere."""
    while "$ref" in value:
        target = document
        reference = value["$ref"]
        assert reference.startswith("#/"), reference
        for part in reference[2:].split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


def operations(document):
    return [Operation(document, method.upper(), path, item)
            for path, methods in document["paths"].items()
            for method, item in methods.items() if method in METHODS]


def references(value):
    """Every "$ref" in it, and the targets of every discriminator."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        if isinstance(value.get("discriminator"), dict):
            yield from value["discriminator"].get("mapping", {}).values()
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
