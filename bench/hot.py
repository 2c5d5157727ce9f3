"""GET of one order that everybody wants, beside others that send the same answer."""

from contextlib import ExitStack
from functools import partial
from typing import Any

from bench.bare import ASGI, GO, RSGI, answer_of, bare, go_toolchain
from bench.documents import uid_of
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.plain import PLAIN, is_here, plain_api
from bench.product import api, children, get
from bench.reads import hot_body, hot_load, in_pairs, timed

_OURS = ""


def measure(place: Place, dsn: str) -> list[Figure]:
    """All of them in each round; those that matter most stand right beside the product."""
    target = f"/orders/{uid_of(0)}"
    with ExitStack() as stack:
        running = stack.enter_context(api(place, dsn))
        answer = answer_of(running.port, target)
        served = {_OURS: (running.port, tuple(running.pids().values()))}
        kinds = [ASGI, RSGI]
        if go_toolchain():
            kinds.append(GO)
        else:
            place.skipped[GO] = "there is no Go toolchain, neither in PATH nor in /usr/local/go"
        for kind in kinds:
            port, pid = stack.enter_context(bare(place, kind, answer))
            served[kind] = (port, (pid, *children(pid)))
        if is_here(place):
            plain = stack.enter_context(plain_api(place, dsn))
            served[PLAIN] = (plain.port, tuple(plain.pids().values()))
        for port, _ in served.values():
            check(get(port, target) == (200, hot_body(place)), "not the bytes of the order")
        names = [name for name in (ASGI, GO, _OURS, RSGI, PLAIN) if name in served]
        found = in_pairs(
            place, "hot GET", place.sizes.pairs, *(_load(place, *served[name]) for name in names)
        )
    samples = dict(zip(names, found, strict=True))

    def figures(
        what: str, unit: str, field: str, factor: float, targets: dict[str, Target | None]
    ) -> list[Figure]:
        def of(name: str) -> list[float]:
            return [each[field] * factor for each in samples[name]]

        return [
            Figure("hot", what, unit, of(_OURS), Limit(of(name), name), target=target)
            for name, target in targets.items()
            if name in samples
        ]

    return [
        *figures(
            "GET of one order, 64 connections",
            "requests/s",
            "rate",
            1,
            {PLAIN: None, GO: Target(1.0), RSGI: None, ASGI: None},
        ),
        *figures(
            "GET of one order, 99th percentile",
            "ms",
            "p99",
            1e3,
            {PLAIN: None, GO: Target(most=1.0), RSGI: None},
        ),
        *figures(
            "GET of one order, CPU time of the server",
            "us",
            "server_cpu",
            1e6,
            {PLAIN: None, GO: None, RSGI: None, ASGI: None},
        ),
        Figure(
            "hot",
            "what the load generator can do",
            "requests/s",
            [each["rate"] / each["cpu"] for each in samples[RSGI]],
            note="with a core of its own, by the time that it took for each",
        ),
    ]


def _load(place: Place, port: int, pids: tuple[int, ...]) -> "partial[dict[str, Any]]":
    return partial(timed, place, pids, port=port, **hot_load(place))
