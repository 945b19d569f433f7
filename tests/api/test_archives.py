"""Files copied in and out through the API, in both encodings."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from dolium import conf
from tests.stories.cloud import Cloud, Reply
from tests.tars import tar, untar

BINARY = bytes(range(256)) * 3
MIB = 1 << 20


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(limits=conf.Limits(maximum_archive=1))
    cloud.call("POST", "/v1/containers?run=true", body={"image": "cirros", "name": "web"})
    cloud.host.look()
    return cloud


def put(cloud: Cloud, data: object, path: str = "/tmp", version: str = "1.40") -> Reply:
    url = f"/v1/containers/web/put_archive?path={path}"
    return cloud.call("POST", url, version=version, body={"data": data})


def get(cloud: Cloud, path: str, version: str = "1.40") -> Reply:
    return cloud.call("GET", f"/v1/containers/web/get_archive?path={path}", version=version)


def refused(reply: Reply, status: int, code: str, title: str) -> None:
    (error,) = reply.json["errors"]
    assert (reply.status, error["code"]) == (status, f"container.{code}")
    assert error["title"].startswith(title)


def test_in_base_64(cloud: Cloud) -> None:
    data = b64encode(tar(("x.bin", BINARY))).decode()
    reply = put(cloud, f"{data[:76]}\n{data[76:]}")  # as some libraries write it
    assert (reply.status, reply.raw) == (200, b"null")
    found = get(cloud, "/tmp/x.bin")
    assert found.status == 200
    assert untar(b64decode(found.json["data"])) == {"x.bin": BINARY}
    stat = found.json["stat"]
    assert stat.keys() == {"name", "size", "mode", "mtime", "linkTarget"}
    assert (stat["name"], stat["size"], stat["mode"]) == ("x.bin", len(BINARY), 0o644)


def test_as_text_until_1_24(cloud: Cloud) -> None:
    reply = put(cloud, tar(("x.bin", BINARY)).decode("latin-1"), version="1.24")
    assert (reply.status, reply.raw) == (200, b"null")
    found = get(cloud, "/tmp/x.bin", version="1.24").json
    assert untar(found["data"].encode("latin-1")) == {"x.bin": BINARY}
    title = "Invalid input for field 'data'. It has characters that are no byte"
    refused(put(cloud, "snow ☃", version="1.24"), 400, "schema-validation-error", title)


@pytest.mark.parametrize("data", ["%%%", "YQ", "YQ===", "YWJj☃"])
def test_what_is_not_base_64(cloud: Cloud, data: str) -> None:
    refused(put(cloud, data), 400, "base64-exception", "Invalid Base 64 file data")


def test_paths_that_are_not_there(cloud: Cloud) -> None:
    title = "Path /nosuch%2F%s could not be found"
    refused(get(cloud, "/nosuch%252F%25s"), 404, "resource-not-found", title)
    data = b64encode(tar(("x", b""))).decode()
    refused(put(cloud, data, "/nosuch"), 404, "resource-not-found", "Path /nosuch could")


def test_parameters_that_are_missing_or_can_not_be(cloud: Cloud) -> None:
    url, code = "/v1/containers/web/{}_archive", "schema-validation-error"
    refused(cloud.call("GET", url.format("get")), 400, code, "'path' is a required property")
    reply = cloud.call("POST", url.format("put") + "?path=/tmp", body={})
    refused(reply, 400, code, "'data' is a required property")
    reply = cloud.call("POST", url.format("put"), body={"data": ""})
    refused(reply, 400, code, "'path' is a required property")
    refused(get(cloud, ""), 400, code, "Invalid input for field 'path'")
    refused(get(cloud, "/" + 5000 * "a"), 400, code, "Invalid input for field 'path'")
    refused(put(cloud, 7), 400, code, "Invalid input for field 'data'. Value: '7'")
    refused(get(cloud, "/tmp&bogus=1"), 400, code, "Additional properties are not allowed")


def test_what_is_too_large(cloud: Cloud) -> None:
    fits = tar(("x", bytes(MIB - 10240)))
    assert len(fits) <= MIB
    assert put(cloud, b64encode(fits).decode()).status == 200
    assert put(cloud, fits.decode("latin-1"), version="1.24").status == 200
    more = b64encode(bytes(MIB + 1)).decode()
    title = f"Invalid input for field 'data'. The archive is larger than {MIB} bytes"
    refused(put(cloud, more), 400, "schema-validation-error", title)
    refused(put(cloud, 9 * more), 413, "request-entity-too-large", "The body is larger than")
    assert put(cloud, b64encode(tar(("y", bytes(MIB // 2)))).decode()).status == 200
    title = f"The archive of /tmp is larger than {MIB} bytes"
    refused(get(cloud, "/tmp"), 400, "invalid-value", title)


def test_only_where_there_are_files(cloud: Cloud) -> None:
    cloud.call("POST", "/v1/containers", body={"image": "cirros", "name": "new"})
    reply = cloud.call("GET", "/v1/containers/new/get_archive?path=/tmp")
    assert reply.status == 409
    assert reply.json["errors"][0]["title"].startswith("Cannot get_archive container ")
