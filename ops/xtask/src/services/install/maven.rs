//! Java programs from the Maven repository.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Cache, on_path};
use crate::process::capture;

/// The plug-in that copies the libraries, in one version.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// A program as a set of libraries.
#[derive(Debug)]
pub(in crate::services) struct Maven {
    /// The name of its folder, with the version.
    pub(in crate::services) name: &'static str,
    /// `GROUP:ARTIFACT:VERSION` of what it is made of.
    pub(in crate::services) artifacts: &'static [&'static str],
}

impl Maven {
    /// A command that runs a class of it, once its options and its class are given.
    pub(in crate::services) fn java(&self, cache: &Cache) -> Result<Command> {
        let java = on_path("java", "`apt-get install default-jre-headless`")?;
        let libraries = self.libraries(cache)?;
        let mut command = Command::new(java);
        command.arg("-cp").arg(libraries.join("*"));
        Ok(command)
    }

    /// The folder of its libraries.
    pub(in crate::services) fn libraries(&self, cache: &Cache) -> Result<PathBuf> {
        cache.installed(self.name, |folder| {
            let maven = on_path("mvn", "`apt-get install maven`")?;
            let project = folder.join("pom.xml");
            fs::write(&project, self.project())?;
            let mut copy = Command::new(maven);
            copy.args(["--quiet", "--batch-mode", "--file"]).arg(&project).arg(PLUGIN);
            copy.arg("-DincludeScope=runtime");
            copy.arg(format!("-DoutputDirectory={}", folder.display()));
            capture(copy).map(drop)
        })
    }

    fn project(&self) -> String {
        let mut dependencies = String::new();
        for artifact in self.artifacts {
            let mut parts = artifact.split(':');
            let mut part = || parts.next().unwrap_or_default();
            dependencies.push_str(&format!(
                "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>\n",
                part(),
                part(),
                part()
            ));
        }
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
             <groupId>troupe</groupId><artifactId>services</artifactId><version>1</version>\n\
             <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
        )
    }
}
