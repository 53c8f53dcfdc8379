"""What tests with the `simulator` fixture look like."""


def test_a_secret_is_stored_and_read(donor):
    secret = donor.key_manager.create_secret(
        name="s", payload="hello", payload_content_type="text/plain")
    assert donor.key_manager.get_secret(secret.secret_id).payload == "hello"


def test_each_test_finds_an_empty_cloud(donor):
    assert list(donor.key_manager.secrets()) == []


def test_a_fault_strikes_once(simulator, donor):
    simulator.control("/faults", {"line": "barbican GET /v1/secrets status=503"})
    reply = [donor.key_manager.get("/secrets", connect_retries=0).status_code for _ in range(2)]
    assert reply == [503, 200]


def test_a_token_ends_when_its_time_is_over(simulator, donor):
    token = donor.session.get_token()
    simulator.control("/clock", {"advance_seconds": 7200})
    reply = donor.session.get(
        f"{simulator.key_manager}/v1/secrets", authenticated=False, raise_exc=False,
        headers={"X-Auth-Token": token})
    assert reply.status_code == 401
