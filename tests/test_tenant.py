"""A principal as its sessions know it."""

from wsproc.auth.config import AuthConfig
from wsproc.tenant import Tenant, Tenants


def test_tasks_that_may_be_submitted():
    """Those of the list, which the refusal names; without a list all."""
    tenants = Tenants(0, AuthConfig(tasks={"alice": ["process", "batch"], "bob": []}).may_submit)
    alice, bob, carol = map(tenants.of, ("alice", "bob", "carol"))
    assert alice.forbids("batch") is None
    assert carol.forbids("generate") is None
    refused = alice.forbids("generate")
    assert refused is not None
    assert (refused.code, refused.path, refused.retryable) == ("forbidden", "type", False)
    assert refused.message == "you may not submit generate; you may submit batch, process"
    nothing = bob.forbids("process")
    assert nothing is not None
    assert nothing.message == "you may not submit process; you may submit nothing"


def test_the_jobs_of_a_principal_are_counted_over_its_sessions():
    """And apart from the others'."""
    tenants = Tenants(2)
    first, second, other = tenants.of("alice"), tenants.of("alice"), tenants.of("bob")
    first.take()
    assert second.too_many() is None
    second.take()
    for one in (first, second):
        assert one.too_many() == "2 jobs of yours are running in all; wait for one to end"
    assert other.too_many() is None
    first.give_back()
    assert second.too_many() is None


def test_everybody_without_a_name_has_no_limit():
    """On a server that asks for no token nobody stands for all."""
    nobody = Tenants(1, lambda principal: frozenset()).of("")
    nobody.take()
    assert nobody.too_many() is None
    assert nobody.forbids("process") is None
    assert Tenant().forbids("process") is None
