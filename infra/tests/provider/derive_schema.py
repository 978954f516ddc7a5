"""Derives schema.json: what the google provider accepts, for the resources that infra/ uses.

The provider itself comes only from Terraform's registry. Its schema also travels in the npm package
``@cdktf/provider-google`` (MPL-2.0): TypeScript bindings generated from it. This reads types, required arguments,
nesting and documented values back out of them. Only needed again when a module uses another resource::

    npm pack @cdktf/provider-google@16.12.1 && tar xzf cdktf-provider-google-16.12.1.tgz
    infra/tests/provider/derive_schema.py package
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parents[2]
OUTPUT = Path(__file__).with_name("schema.json")

PROVIDER = ("project", "region", "zone", "default_labels", "user_project_override", "billing_project")
"""Arguments of the provider block that the environments may use."""

BY_GETTER = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "StringMap": ["map", "string"],
    "NumberList": ["list", "number"],
}
BY_STORAGE = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringMap": ["map", "string"],
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
}


def snake(name: str) -> str:
    """Return a Terraform name for one of TypeScript."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def folded(name: str) -> str:
    """Return a name in which ``ipv4Enabled`` and ``ipv4_enabled`` are the same."""
    return name.replace("_", "").lower()


def possible_values(interface: str) -> dict[str, list[str]]:
    """Return the values that the documentation of an interface's fields enumerates."""
    found = {}
    for comment, name in re.findall(r"/\*\*(.*?)\*/\s*readonly (\w+)\??:", interface, flags=re.DOTALL):
        values = re.search(r"Possible values: (\[[^]]*\])", comment)
        if values:
            found[name] = json.loads(values[1])
    return found


@dataclass
class Binding:
    """The sources of one resource's bindings, taken apart by class, function and interface."""

    classes: dict[str, str]
    functions: dict[str, str]
    interfaces: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Binding:
        """Read a folder of the package."""
        js = "".join(path.read_text() for path in sorted(folder.glob("*.js")))
        ts = "".join(path.read_text() for path in sorted(folder.glob("*.d.ts")))
        return cls(
            {found[1]: found[0] for found in re.finditer(r"^class (\w+) extends .*?^}", js, re.S | re.M)},
            {found[1]: found[0] for found in re.finditer(r"^function (\w+)ToHclTerraform\(.*?^}", js, re.S | re.M)},
            {found[1]: found[2] for found in re.finditer(r"^export interface (\w+)[^{]*\{(.*?)^}", ts, re.S | re.M)},
        )

    def main(self, kind: str) -> str:
        """Return the class of the resource itself."""
        mark = re.compile(rf"terraformResourceType: '{kind}'")
        return next(name for name, text in self.classes.items() if mark.search(text))

    def block(self, cls: str, interface: str, hcl: str) -> dict[str, Any]:
        """Return a block: its attributes, and the blocks within.

        Args:
            cls: The class whose getters read it back.
            interface: What a user may set.
            hcl: The code that writes it as HCL, which alone tells blocks from attributes.
        """
        text = self.classes[cls]
        settable = self.interfaces.get(interface, "")
        required = {folded(name) for name in re.findall(r"readonly (\w+):", settable)}
        optional = {folded(name) for name in re.findall(r"readonly (\w+)\?:", settable)}
        values = {folded(name): listed for name, listed in possible_values(settable).items()}
        written = {
            found[1]: (found[2] == "true", found[3], found[4])
            for found in re.finditer(
                r"^\s+(\w+): \{\n\s+value: [^\n]*\n\s+isBlock: (true|false),"
                r"\s+type: \"(\w+)\",\s+storageClassType: \"(\w+)\"",
                hcl,
                re.M,
            )
        }
        simple: dict[str, Any] = {
            found[2]: BY_GETTER[found[1]]
            for found in re.finditer(r"this\.get(\w+?)Attribute\('([a-z0-9_]+)'\)", text)
            if found[1] in BY_GETTER
        }
        simple |= {name: ["map", "string"] for name in re.findall(r'new cdktf\.StringMap\(this, "(\w+)"', text)}
        nested = {
            found[2]: (found[1], found[3])
            for found in re.finditer(r'new (\w+?)\(this, "(\w+)"(?:, (true|false))?\)', text)
            if found[1] in self.classes
        }
        attributes, blocks = {}, {}
        for name in sorted({*written, *simple, *nested}):
            is_required, is_optional = folded(name) in required, folded(name) in optional
            if name in nested:
                inner, single = self._nested(nested[name][0])
                if written.get(name, (False,))[0]:
                    timeouts = name == "timeouts"
                    kind = "single" if timeouts else "set" if written[name][1] == "set" else "list"
                    sizes = {"max": int(single and not timeouts), "min": int(is_required)}
                    blocks[name] = {"nesting": kind, **{k: v for k, v in sizes.items() if v}, "block": inner}
                    continue
                members = {member: attribute["type"] for member, attribute in inner.get("attributes", {}).items()}
                of: Any = ["set" if nested[name][1] == "true" else "list", ["object", members]]
            else:
                of = simple.get(name) or BY_STORAGE.get(written[name][2], "string")
                if name in written and written[name][1] == "set" and of[0] == "list":
                    of = ["set", of[1]]
            # Of what may be set, the bindings do not say what Google fills in where it is not: nothing, then
            flags = {"required": is_required, "optional": is_optional, "computed": not is_required and not is_optional}
            attributes[name] = {"type": of, **{flag: True for flag, on in flags.items() if on}}
            if folded(name) in values and of == "string":
                attributes[name]["values"] = values[folded(name)]
        return {key: part for key, part in (("attributes", attributes), ("blocks", blocks)) if part}

    def _nested(self, cls: str) -> tuple[dict[str, Any], bool]:
        stem = cls.removesuffix("OutputReference").removesuffix("List")
        reader = f"{stem}OutputReference"
        writer = self.functions.get(stem[0].lower() + stem[1:], "")
        return self.block(reader if reader in self.classes else cls, stem, writer), cls.endswith("OutputReference")


def resource(library: Path, kind: str, *, data: bool) -> dict[str, Any]:
    """Return the schema of a resource, or of a data source."""
    folder = library / (("data-google-" if data else "") + kind.removeprefix("google_").replace("_", "-"))
    binding = Binding.of(folder)
    main = binding.main(kind)
    writer = re.search(r"synthesizeHclAttributes\(\) \{.*?\n    \}", binding.classes[main], re.S)
    assert writer is not None, f"{folder}: no synthesizeHclAttributes"
    block = binding.block(main, f"{main}Config", writer[0])
    block["attributes"]["id"] = {"type": "string", "optional": True, "computed": True}
    return block


def used(keyword: str) -> list[str]:
    """Return the kinds of resources, or of data sources, in the modules and environments."""
    text = "".join(path.read_text() for path in sorted(INFRA.rglob("*.tf")))
    return sorted(set(re.findall(rf'^{keyword} "(google_\w+)"', text, re.M)))


def main() -> int:
    """Write schema.json."""
    library = Path(sys.argv[1]) / "lib"
    declared = (library / "provider/index.d.ts").read_text()
    of = dict(re.findall(r"readonly (\w+)\?: (\{[^}]*\}|[^;]+);", declared))
    arguments = {snake(name): kind for name, kind in of.items()}
    version = re.search(r"providerVersion: '([\d.]+)'", (library / "provider/index.js").read_text())
    assert version is not None
    known = {"string": "string", "boolean | cdktf.IResolvable": "bool", "{ [key: string]: string; }": ["map", "string"]}
    schema = {
        "version": version[1],
        "provider": {
            "attributes": {
                name: {"type": known[re.sub(r"\s+", " ", arguments[name])], "optional": True} for name in PROVIDER
            }
        },
        "resources": {kind: resource(library, kind, data=False) for kind in used("resource")},
        "data": {kind: resource(library, kind, data=True) for kind in used("data")},
    }
    OUTPUT.write_text(one_attribute_per_line(schema))
    sys.stdout.write(f"{OUTPUT}: google {version[1]}, {len(schema['resources'])} resources\n")
    return 0


def one_attribute_per_line(schema: dict[str, Any], indent: str = "") -> str:
    """Return JSON that a diff can show."""
    if not any(isinstance(value, dict) for value in schema.values()) or "type" in schema:
        return json.dumps(schema)
    inner = indent + " "
    parts = [
        f"{inner}{json.dumps(key)}: "
        + (one_attribute_per_line(value, inner) if isinstance(value, dict) else json.dumps(value))
        for key, value in schema.items()
    ]
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}" + ("\n" if not indent else "")


if __name__ == "__main__":
    sys.exit(main())
