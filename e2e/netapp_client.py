#!/usr/bin/env python3
"""NetApp's own Python client, unmodified, against a jobtrack server.

Starts the server on a free port with a store of its own in a temporary folder, drives it with the
package that requirements.txt names, and prints a line for each check. The first one that fails ends
the run with status 1.

    python e2e/netapp_client.py --binary target/debug/jobtrack
"""

import argparse
import datetime
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from netapp_ontap import HostConnection, NetAppRestError, config, utils
from netapp_ontap.resources import Job

SEED = 20260301
MANY = 5_000
PAGE = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the jobtrack program")
    binary = parser.parse_args().binary
    with tempfile.TemporaryDirectory(prefix="jobtrack-e2e-") as folder:
        with Server(binary, f"redb:{folder}/data") as server:
            # The defaults of the client, but for the port: any user and password will do.
            config.CONNECTION = HostConnection(
                "127.0.0.1", username="admin", password="secret", scheme="http", port=server.port
            )
            for check in CHECKS:
                began = time.monotonic()
                check(server)
                took = time.monotonic() - began
                print(f"ok {took:6.2f} s  {check.__name__.replace('_', ' ')}", flush=True)
    print(f"{len(CHECKS)} checks passed")
    return 0


class Server:
    """A server of its own, and its native face."""

    def __init__(self, binary: str, store: str):
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--store", store],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = None
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        assert self.port, f"the server ended with status {self.process.wait()}"
        # Nobody reads on, so that the pipe never fills: the server has said all it says.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        assert status == 0, f"the server ended with status {status}"

    def call(self, method: str, path: str, body=None):
        """A call of the native face, which must succeed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, content)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {answer!r}"
        return json.loads(answer)

    def create(self, **job) -> str:
        return self.call("POST", "/v1/jobs", job)["uuid"]

    def change(self, job: str, verb: str, **body):
        return self.call("POST", f"/v1/jobs/{job}/{verb}", body)

    def running(self, **job) -> str:
        made = self.create(**job)
        self.change(made, "start")
        return made


def refused(status: int, code: str, act) -> NetAppRestError:
    """The error that the client raises, with this status and ONTAP's number."""
    try:
        act()
    except NetAppRestError as error:
        assert error.status_code == status, (error.status_code, error.response_body)
        assert error.response_body["error"]["code"] == code, error.response_body
        return error
    raise AssertionError(f"nothing was raised; expected {status} with {code}")


# The checks, in the order in which they run. The first ones have the store to themselves.


def lists_nothing(_server):
    assert list(Job.get_collection()) == []
    assert Job.count_collection() == 0
    assert Job.find(state="running") is None


def lists_all_jobs_with_all_fields(server):
    done = server.running(description="Volume create vol1", node="n1")
    server.change(done, "finish", state="success", message="Complete: Successful")
    failed = server.running(
        description="Volume delete vol2", scope={"name": "vs0", "id": str(uuid.uuid4())}
    )
    server.change(
        failed,
        "finish",
        state="failure",
        error={
            "code": 917658,
            "message": "The volume is in use",
            "arguments": [{"code": "clients", "message": "3"}],
        },
    )
    server.running(description="App Snapshot Job")
    server.create(description="backup a*b")

    jobs = {job.description: job for job in Job.get_collection(fields="*")}
    assert set(jobs) == {
        "Volume create vol1",
        "Volume delete vol2",
        "App Snapshot Job",
        "backup a*b",
    }
    job = jobs["Volume create vol1"]
    assert (job.state, job.code, job.message) == ("success", 0, "Complete: Successful")
    assert job.start_time <= job.end_time
    assert job.end_time.tzinfo is not None and job.end_time.microsecond == 0
    assert job.node.name == "n1"
    job = jobs["Volume delete vol2"]
    assert (job.state, job.code, job.message) == ("failure", 917658, "The volume is in use")
    assert (job.error.code, job.error.message) == ("917658", "The volume is in use")
    assert job.error.arguments[0].code == "clients"
    assert job.svm.name == "vs0"
    waiting = jobs["backup a*b"].to_dict()
    assert "start_time" not in waiting and "end_time" not in waiting and "error" not in waiting

    assert {job.uuid for job in Job.get_collection()} == {job.uuid for job in jobs.values()}
    plain = {record.uuid for record in Job.fast_get_collection()}
    assert plain == {job.uuid for job in jobs.values()}


def filters(_server):
    def descriptions(**query):
        return sorted(job.description for job in Job.get_collection(fields="description", **query))

    volumes = ["Volume create vol1", "Volume delete vol2"]
    assert descriptions(state="running") == ["App Snapshot Job"]
    assert descriptions(state="queued|running") == ["App Snapshot Job", "backup a*b"]
    assert descriptions(state="!success|null") == descriptions(state="!success")
    assert descriptions(description="Volume*") == volumes
    assert descriptions(description='"backup a*b"') == ["backup a*b"]
    assert descriptions(description="*vol1|App*") == ["App Snapshot Job", "Volume create vol1"]
    assert descriptions(code=">0") == ["Volume delete vol2"]
    assert descriptions(code="900000..1000000") == ["Volume delete vol2"]
    assert descriptions(end_time="!null") == volumes
    assert descriptions(**{"svm.name": "vs0"}) == ["Volume delete vol2"]
    assert descriptions(**{"error.code": "917658"}) == ["Volume delete vol2"]
    assert descriptions(state="!queued", description="*vol*") == volumes
    # A time object is written as Python writes it, and finds the job that it was read from.
    done = Job.find(description="Volume create vol1")
    assert descriptions(end_time=done.end_time, description="*vol1") == ["Volume create vol1"]
    hour_ago = done.end_time - datetime.timedelta(hours=1)
    assert descriptions(end_time=f">={hour_ago.isoformat()}") == volumes
    assert descriptions(end_time=f"<{hour_ago.isoformat()}") == []


def orders(_server):
    jobs = Job.get_collection(fields="description,state", order_by="state desc,description")
    assert [job.description for job in jobs] == [
        "Volume create vol1",
        "App Snapshot Job",
        "backup a*b",
        "Volume delete vol2",
    ]
    jobs = list(Job.get_collection(fields="start_time", order_by="start_time desc"))
    times = [job.to_dict().get("start_time") for job in jobs]
    assert times[-1] is None, "what is unset comes last"
    assert times[:-1] == sorted(times[:-1], reverse=True)


def counts(_server):
    assert Job.count_collection() == 4
    assert Job.count_collection(state="failure|success") == 2
    assert Job.count_collection(description="no such") == 0


def finds_one(_server):
    job = Job.find(description="App Snapshot Job")
    assert (job.state, job.code) == ("running", 0)
    assert Job.find(description="no such") is None
    try:
        Job.find(description="Volume*")
    except NetAppRestError as error:
        assert error.status_code is None
    else:
        raise AssertionError("two jobs were found as one")


def gets_one(_server):
    found = Job.find(description="Volume delete vol2")
    job = Job(uuid=found.uuid)
    job.get()
    assert job.state == "failure" and job.error.message == "The volume is in use"
    job = Job(uuid=found.uuid)
    job.get(fields="message,state")
    assert set(job.to_dict()) - {"_links"} == {"uuid", "state", "message"}


def hears_what_is_wrong(_server):
    missing = Job(uuid=str(uuid.uuid4()))
    error = refused(404, "4", missing.get)
    assert error.response_body["error"]["target"] == "uuid"
    assert "entry doesn't exist" in str(error)
    refused(404, "4", Job(uuid="not a uuid").get)
    refused(404, "4", lambda: missing.patch(action="cancel"))
    error = refused(400, "262179", lambda: list(Job.get_collection(colour="red")))
    assert 'Unexpected argument "colour".' in str(error)
    refused(400, "262197", lambda: list(Job.get_collection(state="bogus")))
    refused(400, "262197", lambda: list(Job.get_collection(fields="nosuch")))
    refused(400, "262268", lambda: list(Job.get_collection(order_by="nosuch")))
    refused(400, "262185", lambda: list(Job.get_collection(description='"open')))


def pauses_resumes_and_cancels(server):
    made = server.running(description="to be paused")
    job = Job(uuid=made)
    job.patch(action="pause")
    job.get()
    assert job.state == "paused"
    refused(409, "458776", lambda: job.patch(action="pause"))
    job.patch(action="resume", hydrate=True)
    assert job.state == "running", "the patch has read it again"
    refused(409, "458771", lambda: job.patch(action="resume"))
    job.patch(action="cancel")
    job.get()
    assert job.state == "failure" and job.code != 0 and job.message
    assert job.end_time is not None
    refused(409, "458762", lambda: job.patch(action="cancel"))
    refused(400, "262197", lambda: Job(uuid=made).patch(action="explode"))
    refused(400, "262190", lambda: Job(uuid=made).patch())


def is_refused_what_a_job_does_not_allow(server):
    made = server.running(allows={"pause": False, "cancel": False})
    refused(400, "458783", lambda: Job(uuid=made).patch(action="pause"))
    refused(400, "458784", lambda: Job(uuid=made).patch(action="cancel"))


def waits_for_a_worker_that_answers_for_itself(server):
    made = server.running(description="cooperative", cooperative=True)
    job = Job(uuid=made)
    job.patch(action="pause")
    job.get()
    assert job.state == "running", "it is still on its way"
    server.change(made, "pause")
    job.get()
    assert job.state == "paused"


def later(seconds: float, act):
    """Does this in a while, on a thread of its own."""
    thread = threading.Timer(seconds, act)
    thread.start()
    return thread


def polls_to_success(server):
    made = server.running(description="polled")
    thread = later(0.5, lambda: server.change(made, "finish", state="success", message="done"))
    response = utils.watch_job(f"/api/cluster/jobs/{made}", timeout=20, interval=0.1)
    thread.join()
    record = response.http_response.json()
    assert (record["state"], record["message"]) == ("success", "done")


def polls_to_failure(server):
    for finish, message in [
        ({"code": 7, "message": "no space left"}, "no space left"),
        # A worker that says nothing more: there is a message all the same.
        ({}, "The job failed"),
    ]:
        made = server.running(description="polled")
        thread = later(0.3, lambda: server.change(made, "finish", state="failure", **finish))
        try:
            utils.watch_job(f"/api/cluster/jobs/{made}", timeout=20, interval=0.1)
        except NetAppRestError as error:
            assert message in str(error), error
        else:
            raise AssertionError("a failure was polled as a success")
        thread.join()


def gives_up_polling(server):
    made = server.running(description="polled for ever")
    try:
        utils.watch_job(f"/api/cluster/jobs/{made}", timeout=1, interval=0.5)
    except NetAppRestError as error:
        assert "timed out" in str(error), error
    else:
        raise AssertionError("a running job was polled as a success")
    server.change(made, "finish", state="success")


def polls_what_goes_away(server):
    made = server.running(description="polled until it is gone", retention=0.2)
    server.change(made, "finish", state="success")
    time.sleep(0.3)
    refused(404, "4", lambda: utils.watch_job(f"/api/cluster/jobs/{made}", timeout=5, interval=1))
    assert made not in {job.uuid for job in Job.get_collection()}


def pages_through_what_changes(server):
    """All jobs that are there throughout come exactly once, whatever happens to the others."""
    rng = random.Random(SEED)

    def new_id() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def line(index: int) -> bytes:
        started = "2026-03-01T10:00:00Z"
        job = {"uuid": new_id(), "description": f"many {index}", "state": rng.choice(STATES)}
        job["create_time"] = started
        if job["state"] != "queued":
            job["start_time"] = started
        return json.dumps(job).encode() + b"\n"

    lines = [line(index) for index in range(MANY)]
    report = server.call("POST", "/v1/import", b"".join(lines))
    assert report["imported"] == MANY, report
    there = [json.loads(line) for line in lines]
    rng.shuffle(there)
    # Half of them may be changed and a tenth deleted while the listings run.
    doomed = {job["uuid"] for job in there[: MANY // 10]}
    changing = there[: MANY // 2]
    stop = threading.Event()
    faults = []
    steps = [0]

    def disturb():
        try:
            for job in changing:
                if stop.is_set():
                    return
                server.create(uuid=new_id(), description="late")
                if job["state"] == "queued":
                    server.change(job["uuid"], "start")
                server.change(job["uuid"], "finish", state="success", message="disturbed")
                if job["uuid"] in doomed:
                    server.call("DELETE", f"/v1/jobs/{job['uuid']}")
                steps[0] += 1
        except Exception as error:  # Told by the thread that waits for this one.
            faults.append(error)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(3):
            for query in [{}, {"fields": "*"}, {"order_by": "description", "fields": "description"}]:
                listed = [job.uuid for job in Job.get_collection(max_records=PAGE, **query)]
                assert len(listed) == len(set(listed)), f"{query}: a job came twice"
                missing = {job["uuid"] for job in there} - doomed - set(listed)
                assert not missing, f"{query}: {len(missing)} jobs did not come"
    finally:
        stop.set()
        thread.join()
    assert not faults, faults
    assert steps[0] > 50, f"only {steps[0]} jobs were changed meanwhile"
    print(f"           {steps[0]} jobs were created and finished meanwhile")
    # When all is quiet again, a count and a listing agree.
    listed = [job.uuid for job in Job.get_collection(max_records=PAGE, description="many*")]
    assert Job.count_collection(description="many*") == len(listed)


STATES = ["queued", "running", "paused"]

CHECKS = [
    lists_nothing,
    lists_all_jobs_with_all_fields,
    filters,
    orders,
    counts,
    finds_one,
    gets_one,
    hears_what_is_wrong,
    pauses_resumes_and_cancels,
    is_refused_what_a_job_does_not_allow,
    waits_for_a_worker_that_answers_for_itself,
    polls_to_success,
    polls_to_failure,
    gives_up_polling,
    polls_what_goes_away,
    pages_through_what_changes,
]

if __name__ == "__main__":
    sys.exit(main())
