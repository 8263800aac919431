"""The answer that is made in one step is, byte for byte, the one that pynetdicom makes in many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE

from mithridate.ledger.receive.response import plain_success

_UIDS = st.lists(st.integers(0, 10**9), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, ["1.2", *parts])))


def _answer(number: int, sop_class: str, sop_instance: str) -> C_STORE:
    answer = C_STORE()
    answer.MessageID = answer.MessageIDBeingRespondedTo = number
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = sop_class, sop_instance
    answer.Status = 0x0000
    return answer


@given(st.integers(0, 65535), _UIDS, _UIDS, st.sampled_from([0, 16384, 262144]))
def test_success_is_encoded_as_pynetdicom_encodes_it(
    number: int, sop_class: str, sop_instance: str, longest: int
) -> None:
    answer = _answer(number, sop_class, sop_instance)
    message = C_STORE_RSP()
    message.primitive_to_message(answer)
    (expected,) = message.encode_msg(1, longest)
    assert expected.presentation_data_value_list == [(1, plain_success(answer, longest))]


def test_every_other_message_is_left_to_pynetdicom() -> None:
    refusal, commented, nameless, request = (_answer(1, "1.2.3", "1.2.4") for _ in range(4))
    refusal.Status = 0xC000
    commented.ErrorComment = "stored, but"
    nameless.AffectedSOPInstanceUID = None
    request.MessageIDBeingRespondedTo = None
    for message in (refusal, commented, nameless, request, C_ECHO()):
        assert plain_success(message, 0) is None


def test_an_answer_too_long_for_the_peer_is_left_to_pynetdicom() -> None:
    answer = _answer(1, "1.2.840.10008.5.1.4.1.1.4", "1.2.3")
    message = C_STORE_RSP()
    message.primitive_to_message(answer)
    for longest in range(20, 200):
        parts = list(message.encode_msg(1, longest))
        assert (plain_success(answer, longest) is None) == (len(parts) > 1)
