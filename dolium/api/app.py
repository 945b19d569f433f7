"""The application: from a request on the wire to a route's answer, the same way for all."""

from __future__ import annotations

import functools
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from random import getrandbits
from typing import Any

import falcon
import msgspec

from dolium import conf, errors
from dolium.api import faults, openapi, versions
from dolium.api.auth import Auth
from dolium.api.call import Answer, Call, Service
from dolium.api.policy import Policy
from dolium.api.route import Route
from dolium.api.routes import PUBLIC, ROUTES
from dolium.api.streams import Streams
from dolium.control.capsules import Capsules
from dolium.control.commits import Commits
from dolium.control.consoles import Consoles
from dolium.control.containers import Containers
from dolium.control.following import Following
from dolium.control.glance import Glance
from dolium.control.images import Images
from dolium.control.networks import Networks
from dolium.control.questions import Questions
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.control.watching import Watching
from dolium.metrics.registry import Registry
from dolium.model import trace
from dolium.model.clock import Clock, SystemClock
from dolium.model.context import Context
from dolium.model.metric import REQUESTS, Meter, Source

LOG = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_VERSIONS = re.compile(r"/(?:v1)?\.json")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
_KNOWN = _LOOKS.union(_METHODS)
_CLASSES = {number: f"{number}xx" for number in range(1, 6)}
_NOBODY = Context(user_id="", project_id="", request_id="")


def make(
    containers: Containers,
    capsules: Capsules,
    questions: Questions,
    consoles: Consoles,
    following: Following,
    networks: Networks,
    services: Services,
    watching: Watching,
    quotas: Quotas,
    registries: Registries,
    images: Images,
    glance: Glance,
    commits: Commits,
    auth: Auth,
    policy: Policy,
    config: conf.Config,
    clock: Clock | None = None,
    registry: Registry | None = None,
    streams: Streams | None = None,
) -> Wsgi:
    """The whole API as one WSGI application; registry: of the process it runs in; streams: which
    the server ends.
    """
    service = Service(
        containers=containers,
        capsules=capsules,
        questions=questions,
        consoles=consoles,
        following=following,
        networks=networks,
        services=services,
        watching=watching,
        streams=streams or Streams(config.api.watchers),
        quotas=quotas,
        registries=registries,
        images=images,
        glance=glance,
        commits=commits,
        policy=policy,
        config=config,
        clock=clock or SystemClock(),
        registry=registry or Registry(Meter(), (Source.API,)),
        description=functools.cache(partial(_description, config.limits)),
    )
    app: falcon.App[Any, Any] = falcon.App(middleware=[Border(service, auth)])
    app.add_error_handler(Exception, faults.surprise)
    app.add_error_handler(falcon.HTTPError, faults.unrouted)
    app.add_error_handler(errors.Error, faults.refuse)
    paths: defaultdict[str, list[Route]] = defaultdict(list)
    for route in ROUTES:
        paths[route.path].append(route.within(config.limits))
    for path, found in paths.items():
        app.add_route(path, _Place(path, found))
    return app


def _description(limits: conf.Limits) -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES, limits))


class Border:
    """What every request passes: its id, its path made plain, its version, its bearer."""

    def __init__(self, service: Service, auth: Auth) -> None:
        self._service = service
        self._auth = auth
        self._meter = service.registry.meter

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Before routing; what is raised here is answered like everything else."""
        request.context.begun = time.monotonic()
        request_id = request.context.id = f"req-{_uuid()}"
        trace.name(request_id)
        response.set_header("x-openstack-request-id", request_id)
        path = request.path = plain(request.path)
        version = versions.LOW
        if path.startswith("/v1"):
            version = _version(request, response)
        context = _NOBODY
        if path not in PUBLIC:
            who = self._auth.who(request.env)
            context = Context(
                user_id=who.user_id,
                project_id=who.project_id,
                request_id=request_id,
                user_name=who.user_name,
                project_name=who.project_name,
                roles=who.roles,
                is_admin=self._service.policy.admin(who.roles),
            )
        request.context.call = Call(request.env, self._service, context, version)

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        _resource: object,
        _succeeded: bool,
    ) -> None:
        """After the answer was made, whatever it is."""
        status, method = response.status_code, request.method
        self._meter.took(
            REQUESTS,
            time.monotonic() - request.context.begun,
            method if method in _KNOWN else "other",
            request.uri_template or "none",
            _CLASSES[status // 100],
        )
        # What changes something is worth a line; looks are many.
        level = logging.DEBUG if method in _LOOKS else logging.INFO
        if LOG.isEnabledFor(level):
            call: Call | None = getattr(request.context, "call", None)
            who = call.context.user_id if call else ""
            LOG.log(level, "%s %s: %d, for user %s", method, request.path, status, who or "nobody")
        trace.name("")


def plain(path: str) -> str:
    """The path as the routes have it: single slashes, none at the end, and /v1 in front."""
    if "//" in path:
        path = re.sub("/{2,}", "/", path)
    if len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    if path.startswith("/v1/") or path in PUBLIC:
        return path
    if _VERSIONS.fullmatch(path):
        return path.removesuffix(".json") or "/"
    return f"/v1{path}"


def _version(request: falcon.Request, response: falcon.Response) -> int:
    try:
        minor = versions.chosen(request.env.get(versions.ENVIRON))
    except errors.WrongVersion:
        response.set_headers(versions.RANGE)
        raise
    response.set_headers(versions.CHOSEN[minor])
    return minor


def _uuid() -> str:
    """A random UUID in a tenth of the time that the standard library takes."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class _Place:
    """One path: its verbs, as Falcon looks for them."""

    def __init__(self, path: str, routes: list[Route]) -> None:
        for route in routes:
            respond = _responder(route)
            setattr(self, f"on_{route.verb.lower()}", respond)
            if route.verb == "GET":
                self.on_head = respond
        if "}/" not in path:
            return
        for method in _METHODS:  # a wrong verb on an action is an unknown action
            if not hasattr(self, f"on_{method.lower()}"):
                setattr(self, f"on_{method.lower()}", _unknown)


def _unknown(_request: falcon.Request, _response: falcon.Response, **_path: str) -> None:
    raise falcon.HTTPNotFound


def _responder(route: Route) -> Callable[..., None]:
    def respond(request: falcon.Request, response: falcon.Response, **path: str) -> None:
        call: Call = request.context.call
        if not route.since <= call.version <= route.until:
            raise errors.NotInVersion(
                version=versions.named(call.version),
                since=versions.named(route.since),
                until=versions.named(route.until),
            )
        call.path = path
        _send(response, _answer(route, call), head=request.method == "HEAD")

    return respond


def _answer(route: Route, call: Call) -> Answer:
    if route.rule:
        ident = call.path.get("container")
        if ident is None:
            call.allow(route.rule, project_id=call.path.get("project"))
        else:
            call.row = call.service.containers.find(call.context, ident)
            call.allow(route.rule, call.row)
    route.take(call)
    return route.answer(call)


def _send(response: falcon.Response, answer: Answer, *, head: bool) -> None:
    response.status = answer.status
    if answer.stream is None:
        response.data = answer.body
    elif head:
        answer.stream.close()
    else:
        response.stream = answer.stream
        response.set_header("Cache-Control", "no-store")
    if answer.media:
        response.content_type = answer.media
    if answer.location:
        response.location = answer.location
