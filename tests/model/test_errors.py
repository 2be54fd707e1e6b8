from callboard.model import errors


def test_every_error_has_a_code_of_its_own_and_says_what_to_do() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CallboardError)]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert str(errors.InvalidError("port", "must be at most 65535")) == "port: must be at most 65535"
    assert str(errors.InvalidError("", "no field")) == "no field"
    assert "pid 7" in str(errors.LockedError("/data", 7))
    assert "--data" in str(errors.LockedError("/data", 0))
    assert "load again" in str(errors.CompactedError(3))
    assert errors.TooLargeError("5 rows").limit == "5 rows"
