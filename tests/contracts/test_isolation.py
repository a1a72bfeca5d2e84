"""Two users: what one of them must not hear."""

from __future__ import annotations

import pytest
from conversations import RUN, WELCOME, Talk, findings, rules, spoken

from gp_replay.contracts.findings import Level
from gp_replay.contracts.isolation import Owner

BOB_RUN = tuple(line.replace("r1", "r2").replace("Hello_there", "Another_one") for line in RUN)


def alice(*lines: str, **about: object) -> Talk:
    return spoken(WELCOME, *lines, **about)


def bob(*lines: str, **about: object) -> Talk:
    welcome = WELCOME.replace("main_1", "main_2").replace("alice", "bob")
    return spoken(welcome, *lines, **{"owner": "bob", "connection": 2, **about})


def test_two_users_who_keep_to_themselves_are_fine() -> None:
    assert rules(alice(*RUN), bob(*BOB_RUN)) == []


@pytest.mark.parametrize("name", ["run_id", "thread_id", "connection_id"])
def test_an_id_that_no_two_owners_share(name: str) -> None:
    reply = f"95 < agent_response {name}=shared_7"
    all_found = findings([alice(*RUN, reply), bob(*BOB_RUN, reply.replace("95", "96"))])
    (found,) = [found for found in all_found if found.rule != "HS-5"]
    assert (found.rule, found.connection, found.place) == ("isolation.shared_id", 2, name)
    assert "which alice has" in found.came


def test_two_welcomes_with_one_connection_id() -> None:
    talks = [alice(), bob()]
    talks[1].lines[0] = talks[1].lines[0].with_(connection_id="main_1")
    assert [finding.rule for finding in findings(talks)] == ["isolation.shared_id"]


@pytest.mark.parametrize(
    "member",
    [
        "execution_id=7",
        "metadata.trace.span_id=ab",
        'items=[{"order_id":"o7"}]',
        "text=4f9d2c1e-8a7b-4c6d-9e0f-1a2b3c4d5e6f",
        'text={"x":"4f9d2c1e-8a7b-4c6d-9e0f-1a2b3c4d5e6f"}'.replace(
            "{", "see_4f9d2c1e-8a7b-4c6d-9e0f-1a2b3c4d5e6f_", 1
        ),
    ],
)
def test_an_id_of_another_owner_anywhere_in_a_message(member: str) -> None:
    heard = f"95 < agent_response {member}"
    found = findings([alice(*RUN, heard), bob(*BOB_RUN, heard.replace("95", "96"))])
    assert {finding.rule for finding in found} == {"isolation.foreign_id"}
    assert {finding.connection for finding in found} == {2}


def test_ids_that_are_everybodys_are_no_findings() -> None:
    heard = "95 < agent_response server_id=s1 message_id=m1 metadata.agent_id=supervisor"
    assert rules(alice(*RUN, heard), bob(*BOB_RUN, heard)) == []


def test_text_that_only_another_client_sent() -> None:
    secret = RUN[0].replace("Hello_there", "USER-alice-MSG-1")
    leaked = BOB_RUN[2].replace("Hm", "They_asked_USER-alice-MSG-1")
    (found,) = findings([alice(secret, *RUN[1:]), bob(*BOB_RUN[:2], leaked, BOB_RUN[3])])
    assert (found.rule, found.level, found.connection) == ("isolation.foreign_text", Level.ERROR, 2)
    assert found.came == "'USER-alice-MSG-1'"


def test_a_few_common_words_are_a_warning_and_short_text_is_nothing() -> None:
    def leak(text: str) -> list[Level]:
        asked, heard = RUN[0].replace("Hello_there", text), BOB_RUN[2].replace("Hm", f"so_{text}")
        return [found.level for found in findings([alice(asked, *RUN[1:]), bob(*BOB_RUN[:2], heard, BOB_RUN[3])])]

    assert leak("machine_learning") == [Level.WARNING]
    assert leak("Hello_there") == []


def test_a_run_event_without_any_id_of_the_owner() -> None:
    foreign = "50 < agent_thinking run_id=r9 thread_id=t9 user_id=mallory reasoning=Hm"
    found = rules(alice(*RUN[:3], foreign, RUN[3]))
    assert "isolation.no_own_id" in found
    assert "isolation.foreign_id" in found
    assert "isolation.shared_id" not in found


def test_new_ids_are_the_owners_when_they_answer_a_request() -> None:
    started = "20 < agent_started run_id=r1 agent_name=boss thread_id=t1 request_id=q1"
    assert rules(alice(RUN[0], started, *RUN[2:])) == []
    assert rules(alice(started, *RUN[2:])) == ["isolation.no_own_id"]


def test_a_masked_id_is_a_prefix() -> None:
    masked = WELCOME.replace("alice", "u-5f03aa...")
    event = "40 < agent_thinking run_id=r1 reasoning=Hm user_id=u-5f03aa91"
    for owner in ("u-5f03aa91", None):
        assert rules(spoken(masked, *RUN[:3], event, RUN[3], owner=owner)) == []
        other = event.replace("u-5f03aa91", "u-77777777")
        assert rules(spoken(masked, *RUN[:3], other, RUN[3], owner=owner)) == ["isolation.foreign_id"]


def test_where_no_owner_is_known_the_welcome_says_it() -> None:
    event = "40 < agent_thinking run_id=r1 reasoning=Hm user_id=bob"
    assert rules(alice(*RUN[:3], event, RUN[3], owner=None)) == ["isolation.foreign_id"]
    nobody = WELCOME.replace(" user_id=alice", "")
    assert rules(spoken(nobody, *RUN[:3], event, RUN[3], owner=None)) == []


def test_a_token_and_a_service_may_call_one_user_by_two_names() -> None:
    event = "40 < agent_thinking run_id=r1 reasoning=Hm user_id=42"
    assert rules(spoken(WELCOME.replace("alice", "42"), *RUN[:3], event, RUN[3], owner="alice")) == []


def test_a_user_who_comes_back_keeps_what_is_the_users() -> None:
    again = spoken(WELCOME.replace("main_1", "main_3"), connection=3)
    reply = spoken(*(), connection=3)
    again.lines += reply.lines
    later = "200 < agent_response thread_id=t1"
    again.lines += spoken(later).lines
    assert rules(alice(*RUN, "95 < agent_response thread_id=t1"), again) == []


@pytest.mark.parametrize("line", ["95 < error_message run_id=r1", "95 < heartbeat run_id=r1 text=USER-alice-MSG-1"])
def test_errors_and_heartbeats_are_exempt(line: str) -> None:
    asked = RUN[0].replace("Hello_there", "USER-alice-MSG-1")
    assert rules(alice(asked, *RUN[1:]), bob(*BOB_RUN, line)) == []


def test_an_owner_knows_names_and_what_masked_names_begin_with() -> None:
    owner = Owner(name="alice", names={"alice"})
    owner.add("u-5f...")
    assert [owner.is_called(name) for name in ("alice", "ali...", "u-5f03", "u-6", "...", "")] == [
        *(True, True, True, False, False, False)
    ]
    owner.add("x...")
    assert not owner.is_called("xavier")
