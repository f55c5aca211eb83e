//! A user of its own for a function's processes, where the gateway may start such.

use rustix::{
    fs::chown,
    process::{Gid, Uid},
};
use std::{fs, io, path::Path};

/// Where accounts of this machine are listed.
const ACCOUNTS: &str = "/etc/passwd";

/// A user and its group, without any further group, right or way to gain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The account of that name.
    ///
    /// # Errors
    /// In words: there is none, or the gateway may not start processes of it.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let list = fs::read_to_string(ACCOUNTS).map_err(|error| format!("`{ACCOUNTS}`: {error}"))?;
        let account = Self::listed(&list, name).ok_or_else(|| format!("`{name}` is no user of this machine"))?;
        if account.user == 0 {
            return Err("a function of root is not held by any limit: name another user".to_owned());
        }
        if !rustix::process::geteuid().is_root() {
            return Err("only a gateway that root has started may start processes of another user".to_owned());
        }
        Ok(account)
    }

    fn listed(list: &str, name: &str) -> Option<Self> {
        list.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next() == Some(name);
            let mut numbers = fields.skip(1).map(str::parse);
            match (found, numbers.next(), numbers.next()) {
                (true, Some(Ok(user)), Some(Ok(group))) => Some(Self { user, group }),
                _ => None,
            }
        })
    }

    /// How `setpriv` is told to become it.
    pub(super) fn arguments(&self) -> [String; 6] {
        [
            format!("--reuid={}", self.user),
            format!("--regid={}", self.group),
            "--clear-groups".to_owned(),
            "--no-new-privs".to_owned(),
            "--inh-caps=-all".to_owned(),
            "--bounding-set=-all".to_owned(),
        ]
    }

    /// Gives it a file or folder.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        Ok(chown(path, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.group)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name() {
        let list = "root:x:0:0:root:/root:/bin/sh\nodd:x:y:1::/:\nshop:x:812:813:Shop:/srv:/bin/false\n";
        assert_eq!(Account::listed(list, "shop"), Some(Account { user: 812, group: 813 }));
        assert_eq!(Account::listed(list, "root"), Some(Account { user: 0, group: 0 }));
        assert_eq!((Account::listed(list, "odd"), Account::listed(list, "sho")), (None, None));
        assert!(Account::named("root").unwrap_err().contains("root"));
        assert!(Account::named("nobody-of-this-name").unwrap_err().contains("is no user"));
    }
}
