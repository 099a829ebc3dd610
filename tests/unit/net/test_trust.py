"""What a configured certificate file says when it can't be used."""

import pytest

from tickwright.core.errors import ConfigError
from tickwright.net.trust import trusted_by


def test_certificates_when_no_file_is_given_then_the_systems_stand():
    assert trusted_by(None, "certificate file") is None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_when_the_file_holds_none_then_it_is_named(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        trusted_by(path, "venue bybit: ca_file")
    assert str(caught.value).startswith(f"venue bybit: ca_file {path}: ")
