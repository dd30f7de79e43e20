#!/usr/bin/env python3
"""The rarer calls of NetApp's own Python client, unmodified, against a jobtrack server.

Searches, offsets, changes of many jobs at once, one SVM's view, links, and errors by their numbers.
Runs as netapp_client.py does, and shares its server.

    python e2e/netapp_more.py --binary target/debug/jobtrack
"""

import argparse
import sys
import tempfile
import time
import uuid

from netapp_ontap import HostConnection, config
from netapp_ontap.resources import Job

from netapp_client import Server, refused

SVM = {"name": "vs0", "id": str(uuid.uuid4())}
MANY = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the jobtrack program")
    binary = parser.parse_args().binary
    with tempfile.TemporaryDirectory(prefix="jobtrack-e2e-") as folder:
        with Server(binary, f"redb:{folder}/data") as server:
            config.CONNECTION = connection(server)
            make_jobs(server)
            for check in CHECKS:
                began = time.monotonic()
                check(server)
                took = time.monotonic() - began
                print(f"ok {took:6.2f} s  {check.__name__.replace('_', ' ')}", flush=True)
    print(f"{len(CHECKS)} checks passed")
    return 0


def connection(server, **options) -> HostConnection:
    return HostConnection(
        "127.0.0.1", username="admin", password="secret", scheme="http", port=server.port, **options
    )


def make_jobs(server):
    """Six jobs, the first two ended, the last two of an SVM."""
    done = server.running(description="Volume create vol1", node="n1")
    server.change(done, "finish", state="success", message="Complete: Successful")
    failed = server.running(description="Volume delete vol2", node="n2")
    server.change(failed, "finish", state="failure", code=917658, message="The volume is in use")
    server.running(description="App Snapshot Job", node="n1")
    server.create(description="backup a*b", node="n2")
    server.running(description="Copy of vol1", scope=SVM)
    server.create(description="Copy of vol2", scope=SVM)


def descriptions(**query) -> list[str]:
    return [job.description for job in Job.get_collection(fields="description", **query)]


# The checks, in the order in which they run.


def finds_by_nested_fields(_server):
    # Nested dictionaries become dotted names.
    job = Job.find(svm={"name": "vs0"}, state="running")
    assert (job.description, job.svm.uuid) == ("Copy of vol1", SVM["id"])
    assert Job.find(error={"code": "917658"}).description == "Volume delete vol2"
    assert Job.find(node={"name": "n1"}, state="success", fields="node").node.name == "n1"
    assert Job.find(svm={"name": "vs1"}) is None


def gets_plain_records(_server):
    # Nothing is checked on the way, so what is unset must simply not be there.
    plain = list(Job.fast_get_collection(fields="*", order_by="description", max_records=2))
    checked = list(Job.get_collection(fields="*", order_by="description", max_records=2))
    assert [record.uuid for record in plain] == [job.uuid for job in checked]
    assert [record.description for record in plain] == sorted(descriptions())


def orders_and_leaves_out(_server):
    whole = descriptions(order_by="description desc")
    assert whole == sorted(whole, reverse=True) and len(whole) == 6
    for offset in range(8):
        for size in (1, 2, 5):
            rest = descriptions(order_by="description desc", offset=offset, max_records=size)
            assert rest == whole[offset:], (offset, size)
    assert Job.count_collection(offset=2) == 4
    by_state = descriptions(order_by="state,description desc", offset=1, max_records=1)
    assert by_state[:2] == ["backup a*b", "Copy of vol2"], by_state


def searches(_server):
    def found(query, fields="description"):
        return sorted(descriptions(query=query, query_fields=fields))

    assert found("vol1|vol2") == [
        "Copy of vol1",
        "Copy of vol2",
        "Volume create vol1",
        "Volume delete vol2",
    ]
    assert found("vol1 Copy") == ["Copy of vol1"]
    assert found("Volume*") == ["Volume create vol1", "Volume delete vol2"]
    assert found("back*b") == ["backup a*b"]
    assert found('"a*b"') == ["backup a*b"]
    assert found("use 2", fields="description,message") == ["Volume delete vol2"]
    assert found("vs0", fields="*") == ["Copy of vol1", "Copy of vol2"]
    assert found("vs0", fields="*,!svm") == []
    assert Job.count_collection(query="vol", query_fields="description") == 4


def sees_one_svm(server):
    with connection(server, headers={"X-Dot-SVM-Name": "vs0"}):
        assert sorted(descriptions()) == ["Copy of vol1", "Copy of vol2"]
        assert sorted(descriptions(max_records=1)) == ["Copy of vol1", "Copy of vol2"]
        assert Job.count_collection() == 2
        refused(400, "262186", lambda: list(Job.get_collection(**{"svm.name": "vs1"})))
    other = Job.find(description="App*")
    with connection(server, headers={"X-Dot-SVM-UUID": SVM["id"]}):
        assert Job.find(state="running").description == "Copy of vol1"
        refused(404, "4", Job(uuid=other.uuid).get)
        refused(404, "4", lambda: Job(uuid=other.uuid).patch(action="cancel"))
    other.get()
    assert other.state == "running"


def follows_links(server):
    answer = Job.find(description="App*")
    origin = config.CONNECTION.origin
    session = config.CONNECTION.session
    collection = session.get(f"{origin}/api/cluster/jobs?fields=state&max_records=2").json()
    seen = []
    while True:
        for record in collection["records"]:
            whole = session.get(origin + record["_links"]["self"]["href"]).json()
            assert whole["uuid"] == record["uuid"] and whole["state"] == record["state"]
            seen.append(record["uuid"])
        again = session.get(origin + collection["_links"]["self"]["href"]).json()
        assert again == collection
        if "next" not in collection["_links"]:
            break
        response = session.get(origin + collection["_links"]["next"]["href"])
        collection = response.json()
        link = response.links.get("next", {}).get("url")
        assert link == collection["_links"].get("next", {}).get("href")
    assert len(seen) == 6 and answer.uuid in seen
    # Without links there is still a next page.
    bare = session.get(
        f"{origin}/api/cluster/jobs?max_records=2", headers={"Accept": "application/json"}
    )
    assert bare.headers["content-type"] == "application/json"
    assert set(bare.json()["_links"]) == {"next"}
    assert all(set(record) == {"uuid"} for record in bare.json()["records"])


def hears_numbers(_server):
    def listing(**query):
        return lambda: list(Job.get_collection(**query))

    for code, act in [
        ("262179", listing(colour="red")),
        ("262179", listing(privilege_level="advanced")),
        ("262185", listing(description='"open')),
        ("262194", listing(code=">")),
        ("262197", listing(code="abc")),
        ("262197", listing(start_time="yesterday")),
        ("262197", listing(return_timeout=121)),
        ("262222", listing(order_by="state,state")),
        ("262245", listing(code="9..5")),
        ("262247", listing(**{"start.token": "AQID"})),
        ("262268", listing(order_by="error.arguments.code")),
        ("262272", listing(query='"open', query_fields="description")),
        ("262273", listing(query="x")),
        ("262275", listing(query="x", query_fields="state,!state")),
        ("262276", listing(query="x", query_fields="state,state")),
        ("262286", listing(fields="error.{code")),
        ("262190", lambda: Job.patch_collection({}, state="running")),
        ("262212", lambda: Job.patch_collection({}, action="cancel")),
        ("262203", lambda: Job.patch_collection({"code": 7}, action="cancel", state="running")),
        ("262277", lambda: Job.patch_collection({}, action="cancel", query="x")),
    ]:
        refused(400, code, act)
    error = refused(400, "262197", listing(state="bogus"))
    assert '"bogus" is an invalid value for field "state"' in error.response_body["error"]["message"]


def may_look_at_answers_itself(_server):
    config.RAISE_API_ERRORS = False
    try:
        missing = Job(uuid=str(uuid.uuid4()))
        response = missing.patch(action="cancel", poll=False)
        assert response.http_response.status_code == 404
        assert response.http_response.json()["error"]["code"] == "4"
        # A change of many that was stopped has no next, so it is not gone on with either.
        response = Job.patch_collection({}, action="pause", description="*", poll=False)
        assert response.http_response.status_code == 409
        assert response.http_response.json()["error"]["code"] == "458762"
    finally:
        config.RAISE_API_ERRORS = True


def changes_many(server):
    for _ in range(3):
        server.running(description="few")
    response = Job.patch_collection({}, action="pause", description="few", state="running")
    assert response.http_response.json()["num_records"] == 3
    assert Job.count_collection(description="few", state="paused") == 3

    # The first refusal ends it; what was changed before it is said.
    ended = server.running(description="few", uuid="ffffffff-ffff-4fff-bfff-ffffffffffff")
    server.change(ended, "finish", state="success")
    error = refused(
        409, "458762", lambda: Job.patch_collection({}, action="cancel", description="few")
    )
    assert error.response_body["num_records"] == 3
    assert error.response_body["error"]["arguments"] == [{"code": "uuid", "message": ended}]

    server.running(description="few")
    response = Job.patch_collection(
        {}, action="cancel", description="few", continue_on_failure=True, return_records=True
    )
    body = response.http_response.json()
    assert body["num_records"] == len(body["records"]) == 1
    assert {refusal["error"]["code"] for refusal in body["errors"]} == {"458762"}
    assert len(body["errors"]) == 4


def changes_very_many_in_steps(server):
    lines = [
        f'{{"uuid": "{uuid.uuid4()}", "state": "running", "description": "many", '
        '"create_time": "2026-03-01T10:00:00Z", "start_time": "2026-03-01T10:00:00Z"}\n'
        for _ in range(MANY)
    ]
    report = server.call("POST", "/v1/import", "".join(lines).encode())
    assert report["imported"] == MANY, report
    # The client follows `next` with PATCH, and gives back the last answer.
    response = Job.patch_collection({}, action="pause", description="many", return_timeout=0)
    last = response.http_response.json()
    assert 0 < last["num_records"] < MANY, "it took more than one step"
    assert "next" not in last["_links"]
    assert Job.count_collection(description="many", state="paused") == MANY
    began = time.monotonic()
    response = Job.patch_collection({}, action="cancel", description="many")
    took = time.monotonic() - began
    assert response.http_response.json()["num_records"] == MANY
    print(f"           {MANY} jobs were canceled in {took:.2f} s")


CHECKS = [
    finds_by_nested_fields,
    gets_plain_records,
    orders_and_leaves_out,
    searches,
    sees_one_svm,
    follows_links,
    hears_numbers,
    may_look_at_answers_itself,
    changes_many,
    changes_very_many_in_steps,
]

if __name__ == "__main__":
    sys.exit(main())
