#!/usr/bin/env python3
"""The metrics of a jobtrack server, read by Prometheus's own parser for them.

Starts a server, has it do something of everything that is counted, and reads /metrics strictly.
Prints a line for each check. The first one that fails ends the run with status 1.

    python e2e/metrics.py --binary target/debug/jobtrack
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}")
# A name that no label may be broken by.
HOSTILE = 'a"b\\c} 1 {d="'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the jobtrack program")
    with Server(parser.parse_args().binary) as server:
        for check in CHECKS:
            began = time.monotonic()
            check(server)
            took = time.monotonic() - began
            print(f"ok {took:6.2f} s  {check.__name__.replace('_', ' ')}", flush=True)
    print(f"{len(CHECKS)} checks passed")
    return 0


class Server:
    """A server in memory whose jobs go a second after their end."""

    def __init__(self, binary: str):
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--store", "memory:"]
            + ["--retention", "1s"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        for line in self.process.stdout:
            if line.startswith("listening on"):
                self.url = line.split()[-1]
            if line.startswith("try "):
                break

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(30) == 0

    def call(self, method: str, path: str, body=None):
        """Status and answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or "null")

    def metrics(self):
        """The text, and the families in it by name."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:
            media_type = answer.headers["content-type"]
            text = answer.read().decode()
        assert media_type.startswith("application/openmetrics-text; version=1.0.0"), media_type
        families = {family.name: family for family in text_string_to_metric_families(text)}
        return text, families

    def value(self, sample: str, **labels) -> float:
        """The value of one sample; 0 where it has not been counted."""
        _, families = self.metrics()
        for family in families.values():
            for found in family.samples:
                if found.name == sample and found.labels == labels:
                    return found.value
        return 0


def jobs_are_counted_by_state_and_kind(server):
    for kind in ["backup", "backup", HOSTILE]:
        status, _ = server.call("POST", "/v1/jobs", {"kind": kind, "description": "x"})
        assert status == 201
    status, job = server.call("POST", "/v1/jobs", {"kind": "backup"})
    server.call("POST", f"/v1/jobs/{job['uuid']}/start")
    assert server.value("jobtrack_jobs", state="queued") == 3
    assert server.value("jobtrack_jobs", state="running") == 1
    assert server.value("jobtrack_jobs_of_kind", kind="backup", state="queued") == 2
    assert server.value("jobtrack_jobs_of_kind", kind=HOSTILE, state="queued") == 1
    assert server.value("jobtrack_commits_total") == 5
    assert server.value("jobtrack_changes_total") == 5
    server.call("POST", f"/v1/jobs/{job['uuid']}/finish", {"state": "success"})
    until(lambda: server.value("jobtrack_expired_jobs_total") == 1)
    assert server.value("jobtrack_sweeps_total") == 1
    assert server.value("jobtrack_tombstones") == 1


def requests_and_refusals_are_counted(server):
    before = server.value("jobtrack_refusals_total", kind="not_found")
    uuid = "0198c2a0-0000-7000-8000-000000000001"
    assert server.call("GET", f"/v1/jobs/{uuid}")[0] == 404
    assert server.value("jobtrack_refusals_total", kind="not_found") == before + 1
    labels = {"method": "GET", "route": "/v1/jobs/{uuid}", "status": "4xx"}
    assert server.value("jobtrack_http_requests_total", **labels) == 1
    route = {"route": "/v1/jobs/{uuid}"}
    assert server.value("jobtrack_http_request_duration_seconds_count", **route) == 1
    server.call("GET", f"/made/up/{uuid}")
    labels = {"method": "GET", "route": "(none)", "status": "4xx"}
    assert server.value("jobtrack_http_requests_total", **labels) == 1


def watchers_and_connections_are_counted(server):
    assert server.value("jobtrack_watchers") == 0
    watch = urllib.request.urlopen(server.url + "/v1/watch", timeout=30)
    watch.readline()
    assert server.value("jobtrack_watchers") == 1
    # The watch's own, and the one that asks.
    assert server.value("jobtrack_connections") >= 2
    watch.close()
    until(lambda: server.value("jobtrack_watchers") == 0)


def every_family_is_in_order_and_no_job_is_in_a_label(server):
    text, families = server.metrics()
    for family in families.values():
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram", "info"), family
        for sample in family.samples:
            assert not any(UUID.search(value) for value in sample.labels.values()), sample
    assert text.endswith("# EOF\n")


def many_may_read_at_a_time(server):
    faults = []

    def read():
        try:
            for _ in range(20):
                server.metrics()
        except Exception as error:  # pylint: disable=broad-except
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults


def until(is_so):
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < 30
        time.sleep(0.1)


CHECKS = [
    jobs_are_counted_by_state_and_kind,
    requests_and_refusals_are_counted,
    watchers_and_connections_are_counted,
    every_family_is_in_order_and_no_job_is_in_a_label,
    many_may_read_at_a_time,
]

if __name__ == "__main__":
    sys.exit(main())
