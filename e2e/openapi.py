#!/usr/bin/env python3
"""Schemathesis over the OpenAPI document that a jobtrack server serves of itself.

Starts the server in memory, fills it with a job in each state and one that is held, under the uuids
that the examples of the document have, and lets Schemathesis make up requests from the document:
no answer may be a 5xx, have a status, header, media type or body that the document does not have, or
accept what it says is refused. Whatever it finds ends the run with status 1.

    python e2e/openapi.py --binary target/debug/jobtrack
    python e2e/openapi.py --binary target/debug/jobtrack --seconds 600 --seed 7
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260301
# Requests made up for each operation, and what all of it may take when no time is given.
EXAMPLES = 20
SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the jobtrack program")
    parser.add_argument("--seed", type=int, default=SEED, help="what the requests are drawn from")
    parser.add_argument("--seconds", type=int, help="a campaign of so long, and not a short run")
    arguments = parser.parse_args()
    with Server(arguments.binary) as server:
        fill(server)
        return schemathesis(server, arguments)


def schemathesis(server, arguments) -> int:
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis",
        "--config-file", HERE / "schemathesis.toml",
        "run", f"{server.url}/v1/openapi.json",
        "--seed", str(arguments.seed),
        # Without users nobody is asked who they are, as the document says.
        "--exclude-checks", "ignored_auth",
        "--continue-on-failure",
        "--request-timeout", "10",
    ]
    if arguments.seconds:
        command += ["--max-time", str(arguments.seconds)]
    else:
        command += ["--max-examples", str(EXAMPLES)]
    limit = arguments.seconds + 60 if arguments.seconds else SECONDS
    # The hooks are a module beside this script, and what it leaves behind goes with the folder.
    environment = dict(os.environ, PYTHONPATH=str(HERE))
    with tempfile.TemporaryDirectory(prefix="jobtrack-e2e-") as folder:
        return subprocess.run(command, cwd=folder, env=environment, timeout=limit).returncode


def fill(server) -> None:
    """A job in each state, and one that a worker holds with token 1."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def job(letter, state, **members):
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        times = {"create_time": at, "update_time": at}
        if state != "queued":
            times["start_time"] = at
        if state in ("success", "failure"):
            times |= {"end_time": at, "retained_from": at}
        uuid = f"0000000{letter}-0000-4000-8000-000000000000"
        return json.dumps({"uuid": uuid, "state": state, **times, **members})

    held = "00000010-0000-4000-8000-000000000000"
    lines = [
        job("a", "success", description="Volume create vol1", retention=86_400),
        job("b", "failure", cause="error", code=7, message="in use", retention=86_400),
        job("c", "running", kind="snapshot", labels={"tier": "gold"},
            progress={"done": 7, "total": 40, "unit": "files"}),
        job("d", "paused", description="POST /api/cluster"),
        job("e", "queued", description="backup a*b"),
    ]
    imported = server.call("/v1/import", "\n".join(lines))
    assert imported["imported"] == len(lines), imported
    server.call("/v1/jobs", json.dumps({"uuid": held, "cooperative": True}))
    claimed = server.call(f"/v1/jobs/{held}/claim", json.dumps({"holder": "e2e", "term": 86_400}))
    assert claimed["lease"]["token"] == 1, claimed


class Server:
    """A server of its own, in memory."""

    def __init__(self, binary: str):
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--store", "memory:"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = None
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                self.url = found.group(0)
                break
        assert self.url, f"the server ended with status {self.process.wait()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        assert status == 0, f"the server ended with status {status}"

    def call(self, path: str, body: str):
        request = urllib.request.Request(self.url + path, data=body.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
