from tests.cloudsync.crm.conftest import centre, crm, folder, settings

__all__ = ["centre", "crm", "folder", "settings"]
