"""What Dolium asks Keystone for itself."""

from __future__ import annotations

from dolium import errors


def project_of(
    auth_url: str, username: str, password: str, project_name: str, domain_name: str
) -> str:
    """The id of the project that somebody signs in to."""
    # Imported here: half a second that only this question needs.
    from keystoneauth1 import exceptions, identity, session

    auth = identity.Password(
        auth_url=auth_url,
        username=username,
        password=password,
        project_name=project_name,
        user_domain_name=domain_name,
        project_domain_name=domain_name,
    )
    try:
        found = session.Session(auth=auth).get_project_id()
    except exceptions.ClientException as error:
        raise errors.Unanswered(what="Keystone", why=str(error)) from None
    if found is None:
        raise errors.Conflict(why=f"{username} signs in to no project")
    return str(found)


def failures() -> type[Exception]:
    """What clients of Keystone, also keystonemiddleware, raise when it is away."""
    from keystoneauth1 import exceptions

    raised: type[Exception] = exceptions.ClientException
    return raised
