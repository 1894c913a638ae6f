"""`python -m tools.supply.sbom IMAGE FILE`: write an image's SBOM.

It is CycloneDX 1.6, as JSON. It is made from the contents of the image (`inside.py`) and from the lock files, whose
hashes are those of the archives that pip may install. For one image it is the same, byte for byte: its serial number is
derived from the image's id, its time is the image's own. https://cyclonedx.org/docs/1.6/json/
"""

import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.commands import CommandError, run, say_to_stderr
from tools.supply import licences
from tools.supply.locks import Locked, normalized

INSIDE = Path(__file__).with_name("inside.py")
VERSION = SchemaVersion.V1_6

_REVISION = "org.opencontainers.image.revision"
_CREATED = "org.opencontainers.image.created"


class SbomError(Exception):
    """The image contains something that can't be described in a bill of materials; the message says what."""


def bill(image: Mapping[str, Any], inside: Mapping[str, Any], locked: Mapping[str, Locked]) -> str:
    """Return the bill of an image from its engine's data (`docker image inspect`) and its contents.

    Raise `SbomError` if a package is not of its locked version, or the bill does not match its schema.
    """
    labels = image["Config"]["Labels"]
    created = labels.get(_CREATED, "")
    whole = _whole(image, labels)
    parts = [_system(inside), _python(inside), *_distributions(inside, locked), *_debian(inside)]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, image["Id"]),
        metadata=BomMetaData(
            component=whole,
            timestamp=datetime.fromisoformat(created if created.endswith("Z") else image["Created"]),
        ),
        components=parts,
    )
    bom.register_dependency(whole, parts)
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2)
    if error := mistake(text):
        raise SbomError(error)
    return text + "\n"


def mistake(text: str) -> str | None:
    """Return the first violation of a bill's schema, if there is one."""
    error = JsonStrictValidator(VERSION).validate_str(text)
    return None if error is None else str(error)


def _whole(image: Mapping[str, Any], labels: Mapping[str, str]) -> Component:
    told = {name: value for name, value in sorted(labels.items()) if name.startswith("org.opencontainers.image.")}
    layers = [Property(name=f"oci:layer:{number}", value=each) for number, each in enumerate(image["RootFS"]["Layers"])]
    return Component(
        name="echo",
        bom_ref="image",
        type=ComponentType.CONTAINER,
        version=labels["org.opencontainers.image.version"],
        # The image's id is the digest of its configuration, which identifies all layers by theirs.
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image["Id"].removeprefix("sha256:"))],
        licenses=[LicenseExpression("Apache-2.0")],
        properties=[*(Property(name=name, value=value) for name, value in told.items()), *layers],
    )


def _system(inside: Mapping[str, Any]) -> Component:
    """Return the base's distribution, whose version tells a scanner which vulnerabilities of its packages are fixed."""
    release = inside["release"]
    return Component(
        name=release["ID"],
        bom_ref="system",
        type=ComponentType.OPERATING_SYSTEM,
        version=release.get("DEBIAN_VERSION_FULL", release.get("VERSION_ID", "")),
    )


def _python(inside: Mapping[str, Any]) -> Component:
    version = inside["python"]
    return Component(
        name="python",
        bom_ref="python",
        type=ComponentType.PLATFORM,
        version=version,
        cpe=f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
        purl=PackageURL("generic", None, "python", version),
        licenses=[LicenseExpression("PSF-2.0")],
    )


def _distributions(inside: Mapping[str, Any], locked: Mapping[str, Locked]) -> Iterator[Component]:
    """Yield Python's packages: the service's with the hashes of their lock, the base's without."""
    for each in inside["distributions"]:
        purl = PackageURL("pypi", None, normalized(each["name"]), each["version"])
        lock = locked.get(normalized(each["name"]))
        if lock and lock.version != each["version"]:
            raise SbomError(f"{each['name']} is {each['version']} in the image, and {lock.version} in its lock file")
        yield Component(
            name=each["name"],
            bom_ref=str(purl),
            version=each["version"],
            purl=purl,
            licenses=[LicenseExpression(licences.of(normalized(each["name"]), each))] if lock else (),
            external_references=[_archives(purl, lock)] if lock else (),
        )


def _archives(purl: PackageURL, lock: Locked) -> ExternalReference:
    """Return a reference to the archives that the lock allows; which was installed depends on processor and base."""
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in lock.hashes]
    return ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes)


def _debian(inside: Mapping[str, Any]) -> Iterator[Component]:
    distro = f"{inside['release']['ID']}-{inside['release'].get('VERSION_ID', '')}"
    for each in inside["debian"]:
        qualifiers = {"arch": each["architecture"], "distro": distro}
        purl = PackageURL("deb", inside["release"]["ID"], each["name"], each["version"], qualifiers)
        yield Component(
            name=each["name"],
            bom_ref=str(purl),
            version=each["version"],
            purl=purl,
            licenses=[DisjunctiveLicense(name=name) for name in each["licences"]],
            properties=[Property(name="dpkg:source", value=each["source"])],
        )


def of_image(reference: str) -> str:
    """Return the bill of a local image. Raise `CommandError` or `SbomError`."""
    (image,) = json.loads(run("docker", "image", "inspect", reference))
    isolated = ("--network=none", "--read-only", "--cap-drop=ALL", "--entrypoint=python3")
    inside = json.loads(run("docker", "run", "--rm", *isolated, reference, "-c", INSIDE.read_text()))
    if not inside["debian"]:
        say_to_stderr(f"{reference} is on no Debian: the packages of its base are not in the bill")
    return bill(image, inside, {name: package for name, (package, _) in licences.runtime().items()})


def main(arguments: Sequence[str]) -> int:
    """Write the bill of the named image. Return the exit code."""
    if len(arguments) != 2:
        say_to_stderr("usage: python -m tools.supply.sbom IMAGE FILE")
        return 2
    reference, name = arguments
    file = Path(name)
    try:
        text = of_image(reference)
    except (CommandError, SbomError, licences.LicenceError) as error:
        say_to_stderr(str(error))
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    components = json.loads(text)["components"]
    print(f"{name}: {len(components)} parts of {reference}")  # noqa: T201 - the result
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
