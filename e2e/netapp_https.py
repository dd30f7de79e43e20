#!/usr/bin/env python3
"""NetApp's own Python client, unmodified, over https and as a user of a jobtrack server.

Adds users, starts the server with a certificate that it makes itself, and uses it as automation
does: submit, poll, read what became of it. Prints a line for each check. The first one that fails
ends the run with status 1.

    python e2e/netapp_https.py --binary target/debug/jobtrack
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import pty
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import requests
from netapp_ontap import HostConnection, NetAppRestError, config, utils
from netapp_ontap.resources import Job

import netapp_client
from netapp_client import later, refused

USER = "admin"
# Beyond ASCII: the client sends it in Latin-1.
PASSWORD = "Zürich: correct horse"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the jobtrack program")
    binary = parser.parse_args().binary
    # It would overrule the file that verify names.
    os.environ.pop("REQUESTS_CA_BUNDLE", None)
    os.environ.pop("CURL_CA_BUNDLE", None)
    with tempfile.TemporaryDirectory(prefix="jobtrack-e2e-") as folder:
        with Server(binary, folder) as server:
            for check in CHECKS:
                config.CONNECTION = server.connection()
                began = time.monotonic()
                check(server)
                took = time.monotonic() - began
                print(f"ok {took:6.2f} s  {check.__name__.replace('_', ' ')}", flush=True)
    print(f"{len(CHECKS)} checks passed")
    return 0


class Server(netapp_client.Server):
    """A server of its own that speaks https, and its native face."""

    def __init__(self, binary: str, folder: str):
        self.binary = binary
        self.users = f"{folder}/users"
        self.certificate = f"{folder}/data/tls/certificate.pem"
        self.add(USER, PASSWORD)
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--store", f"redb:{folder}/data"]
            + ["--tls", "--users", self.users],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.fingerprint = None
        for line in self.process.stdout:
            if found := re.match(r"listening on  https://127\.0\.0\.1:(\d+)", line):
                self.port = int(found.group(1))
            if found := re.match(r"fingerprint   SHA-256 (\S+)", line):
                self.fingerprint = found.group(1)
            if line.startswith("try "):
                break
        assert self.port, f"the server ended with status {self.process.wait()}"

    def add(self, name: str, password: str, *more: str):
        command = [self.binary, "user", "add", name, "--users", self.users, "--password-stdin"]
        command += [] if "--replace" in more else ["--role", "admin"]
        subprocess.run(
            [*command, *more], input=password.encode(), check=True, stdout=subprocess.DEVNULL
        )

    def connection(self, username=USER, password=PASSWORD, verify=None):
        """A connection of the client; it trusts the server's certificate and no other."""
        verify = self.certificate if verify is None else verify
        return HostConnection(
            "127.0.0.1", username=username, password=password, verify=verify, port=self.port
        )

    def call(self, method: str, path: str, body=None):
        """A call of the native face, which must succeed."""
        context = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=30, context=context
        )
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, content, {"Authorization": f"Basic {credentials}"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {answer!r}"
        return json.loads(answer)


# The checks, in the order in which they run. The first ones have the store to themselves.


def a_user_lists_jobs(server):
    assert list(Job.get_collection()) == []
    server.running(description="Volume create vol1")
    job = Job.find(description="Volume create vol1")
    assert (job.state, job.code) == ("running", 0)


def the_certificate_is_the_one_whose_fingerprint_is_printed(server):
    pem = ssl.get_server_certificate(("127.0.0.1", server.port))
    shown = ssl.PEM_cert_to_DER_cert(pem)
    with open(server.certificate, encoding="ascii") as file:
        assert ssl.PEM_cert_to_DER_cert(file.read()) == shown
    assert hashlib.sha256(shown).hexdigest() == server.fingerprint.replace(":", "").lower()


def who_checks_nothing_is_served_too(server):
    requests.packages.urllib3.disable_warnings()
    config.CONNECTION = server.connection(verify=False)
    assert Job.count_collection() == 1


def who_trusts_only_others_does_not_send_the_password(server):
    config.CONNECTION = server.connection(verify=True)
    try:
        list(Job.get_collection())
    except NetAppRestError as error:
        assert error.status_code is None, error
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
    except requests.exceptions.SSLError as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
    else:
        raise AssertionError("a certificate that nobody vouches for was trusted")


def a_wrong_password_is_refused(server):
    for username, password in [(USER, "wrong"), ("nobody", PASSWORD), (USER, "x" * 1025)]:
        config.CONNECTION = server.connection(username, password)
        for act in [
            lambda: list(Job.get_collection()),
            Job.count_collection,
            lambda: Job.find(description="*"),
            lambda: Job(uuid="0198c2a0-0000-7000-8000-000000000001").get(),
            lambda: Job(uuid="0198c2a0-0000-7000-8000-000000000001").patch(action="cancel"),
        ]:
            error = refused(401, "6691623", act)
            message = error.response_body["error"]["message"]
            assert message.startswith("User is not authorized"), message
            assert password not in error.response_text
    # And the right one still is right.
    config.CONNECTION = server.connection()
    assert Job.count_collection() == 1


def a_password_is_not_hashed_anew_for_every_request(server):
    # Fewer than may be wrong in a row before one has to wait.
    def typical(act):
        times = []
        for _ in range(9):
            began = time.monotonic()
            act()
            times.append(time.monotonic() - began)
        return statistics.median(times)

    Job.count_collection()
    right = typical(Job.count_collection)
    # Somebody who is not there takes as long, and has made no mistakes yet.
    config.CONNECTION = server.connection("guesser", "wrong")
    wrong = typical(lambda: refused(401, "6691623", Job.count_collection))
    print(f"           {right * 1000:.1f} ms a request, {wrong * 1000:.1f} ms a wrong password")
    assert right * 2 < wrong, "a right password takes as long as a wrong one, which is hashed"


def a_new_user_is_let_in_while_the_server_runs(server):
    server.add("operator", "first")
    config.CONNECTION = server.connection("operator", "first")
    time.sleep(1.2)
    assert Job.count_collection() == 1
    server.add("operator", "second", "--replace")
    time.sleep(1.2)
    refused(401, "6691623", Job.count_collection)
    config.CONNECTION = server.connection("operator", "second")
    assert Job.count_collection() == 1


def at_a_terminal(command, answers) -> tuple[int, str]:
    """Runs a command at a terminal and answers its questions: exit status, and what was seen."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    seen = b""
    answers = list(answers)
    try:
        while chunk := os.read(terminal, 1024):
            seen += chunk
            if seen.endswith(b": ") and answers:
                # Nobody types before they have read the question, and the echo goes only after it.
                time.sleep(0.2)
                os.write(terminal, answers.pop(0).encode() + b"\n")
    except OSError:  # How the end of a terminal is told.
        pass
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), seen.decode()


def a_password_is_asked_for_at_a_terminal_and_not_shown(server):
    add = [server.binary, "user", "add", "carol", "--users", server.users]
    status, seen = at_a_terminal(add, ["one", "another"])
    assert status == 1 and "differ" in seen, seen
    status, seen = at_a_terminal(add, ["hidden words", "hidden words"])
    assert status == 0 and "carol is added" in seen, seen
    assert "New password of carol: " in seen and "The same again: " in seen, seen
    assert "hidden" not in seen, seen
    time.sleep(1.2)
    url = f"https://localhost:{server.port}"
    export = [server.binary, "export", "--server", url, "--user", "carol"]
    status, seen = at_a_terminal([*export, "--cacert", server.certificate], ["hidden words"])
    assert status == 0 and "Password of carol at https://localhost" in seen, seen
    assert '"Volume create vol1"' in seen and "hidden" not in seen, seen


def who_asks_is_kept_with_what_they_ask(server):
    made = server.running(description="asked to pause", cooperative=True)
    config.CONNECTION = server.connection("operator", "second")
    Job(uuid=made).patch(action="pause")
    requested = server.call("GET", f"/v1/jobs/{made}")["requested"]
    assert (requested["action"], requested["by"]) == ("pause", "operator"), requested
    server.change(made, "pause")


def a_submitted_job_is_polled_to_success(server):
    made = server.create(description="POST /api/storage/volumes")
    steps = [
        later(0.2, lambda: server.change(made, "start")),
        later(0.6, lambda: server.change(made, "report", message="creating vol1")),
        later(1.0, lambda: server.change(made, "finish", state="success", message="done")),
    ]
    response = utils.watch_job(f"/api/cluster/jobs/{made}", timeout=20, interval=0.1)
    for step in steps:
        step.join()
    record = response.http_response.json()
    assert (record["state"], record["message"]) == ("success", "done"), record
    job = Job(uuid=made)
    job.get()
    assert job.state == "success" and job.start_time <= job.end_time


def a_submitted_job_is_polled_to_failure(server):
    made = server.running(description="POST /api/storage/volumes")
    failure = {"state": "failure", "code": 917927, "message": "no space left on aggr1"}
    step = later(0.5, lambda: server.change(made, "finish", **failure))
    try:
        utils.watch_job(f"/api/cluster/jobs/{made}", timeout=20, interval=0.1)
    except NetAppRestError as error:
        assert "no space left on aggr1" in str(error), error
    else:
        raise AssertionError("a failure was polled as a success")
    step.join()
    job = Job(uuid=made)
    job.get()
    assert (job.state, job.code, job.error.code) == ("failure", 917927, "917927")


def who_loses_the_password_while_polling_hears_it(server):
    made = server.running(description="polled by somebody who leaves")
    config.CONNECTION = server.connection("operator", "second")
    step = later(
        0.5,
        lambda: subprocess.run(
            [server.binary, "user", "remove", "operator", "--users", server.users],
            check=True,
            stdout=subprocess.DEVNULL,
        ),
    )
    refused(
        401,
        "6691623",
        lambda: utils.watch_job(f"/api/cluster/jobs/{made}", timeout=20, interval=0.1),
    )
    step.join()


def silent_clients_hold_up_nobody(server):
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    began = time.monotonic()
    assert Job.count_collection() > 0
    assert time.monotonic() - began < 5
    for connection in silent:
        connection.close()


CHECKS = [
    a_user_lists_jobs,
    the_certificate_is_the_one_whose_fingerprint_is_printed,
    who_checks_nothing_is_served_too,
    who_trusts_only_others_does_not_send_the_password,
    a_wrong_password_is_refused,
    a_password_is_not_hashed_anew_for_every_request,
    a_new_user_is_let_in_while_the_server_runs,
    a_password_is_asked_for_at_a_terminal_and_not_shown,
    who_asks_is_kept_with_what_they_ask,
    a_submitted_job_is_polled_to_success,
    a_submitted_job_is_polled_to_failure,
    who_loses_the_password_while_polling_hears_it,
    silent_clients_hold_up_nobody,
]

if __name__ == "__main__":
    sys.exit(main())
