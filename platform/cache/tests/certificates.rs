//! Certificates that are made for a test by the program `openssl`.

use std::path::PathBuf;
use std::process::Command;

use crate::house::{prefix, skipped};

/// A folder with `root.pem`, and `server.pem` with `server.key` for `localhost`, which leads to it.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Certificates that are good for so many days; none, and a line that says so, without openssl.
    pub fn make(days: u32) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skipped("openssl is not installed here");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("troupe-redis-tls-{}", prefix()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Self { folder };
        // A name of its own, or a stranger's signature would be found wrong instead of unknown.
        made.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -keyout root.key -out root.pem -subj /CN=troupe-{} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
            prefix()
        ));
        made.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout server.key -out server.csr -subj /CN=localhost",
        );
        std::fs::write(made.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        made.openssl(&format!(
            "x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial \
             -out server.pem -days {days} -extfile names",
        ));
        Some(made)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.current_dir(&self.folder).args(arguments.split_whitespace()).output();
        let output = output.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
