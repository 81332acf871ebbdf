//! `troupe bench`: loads a running node and prints what it found.

use std::time::Duration;

use troupe_load::{LoadError, Mode, Remote, Report, Scenario, Template};

use crate::cli::BenchArgs;
use crate::failure::{Exit, Stop};
use crate::print;

const WARM_UP: Duration = Duration::from_secs(1);
const LIMITS: &str = ": the node limits each address and each account; to measure it start it with \
                      --set edge.address_limit.quota=0 --set edge.principal_limit.quota=0";

pub fn run(arguments: &BenchArgs) -> Result<(), Stop> {
    let scenario = scenario(arguments)?;
    let remote = if arguments.allow_remote { Remote::Allowed } else { Remote::Refused };
    let report = troupe_load::run(&scenario, remote).map_err(stop)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?;
        print(&format!("{text}\n"));
    } else {
        print(&format!("{report}"));
    }
    judge(&report)
}

/// Figures that cannot be used are a failure, so that a script sees it.
fn judge(report: &Report) -> Result<(), Stop> {
    if let Some(reason) = &report.void {
        return Err(Stop::new(Exit::Failed, format!("the figures are void: {reason}")));
    }
    if report.unexpected == 0 {
        return Ok(());
    }
    let some = |status: u16| report.statuses.contains_key(&status);
    let (exit, advice) = if some(401) {
        (Exit::Remote, ": log in and set TROUPE_TOKEN")
    } else if some(429) {
        (Exit::Failed, LIMITS)
    } else {
        (Exit::Failed, "")
    };
    let Report { unexpected, answers, .. } = report;
    Err(Stop::new(
        exit,
        format!("{unexpected} of {answers} answers were refusals or failures{advice}"),
    ))
}

fn scenario(arguments: &BenchArgs) -> Result<Scenario, Stop> {
    let mut scenario = match &arguments.scenario {
        Some(file) => Scenario::load(file).map_err(stop)?,
        None => from_flags(arguments)?,
    };
    if let Some(token) = &arguments.token {
        for template in &mut scenario.requests {
            let given =
                template.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
            if !given {
                template.headers.insert("authorization".to_owned(), format!("Bearer {token}"));
            }
        }
    }
    Ok(scenario)
}

fn from_flags(arguments: &BenchArgs) -> Result<Scenario, Stop> {
    let mut scenario = Scenario::new(target(&arguments.url)?);
    scenario.connections = arguments.connections;
    scenario.warm_up = WARM_UP;
    scenario.duration = arguments.duration;
    let expect = (200..400).collect();
    scenario.requests.push(Template { expect, ..Template::get(&arguments.path) });
    if let Some(rate_per_second) = arguments.rate {
        scenario.mode = Mode::Open { rate_per_second };
    }
    Ok(scenario)
}

/// Host and port of an address.
fn target(url: &str) -> Result<String, Stop> {
    let wrong = |why: &str| Stop::new(Exit::Configuration, format!("--url {url}: {why}"));
    if url.starts_with("https://") {
        return Err(wrong("there is no TLS in the generator; give the node's own http:// address"));
    }
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("write it as http://HOST:PORT"))?;
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '@', '?']) {
        return Err(wrong("write it as http://HOST:PORT and the rest as --path"));
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { host.to_owned() } else { format!("{host}:80") })
}

fn stop(error: LoadError) -> Stop {
    let exit = match &error {
        LoadError::Scenario(_) | LoadError::Read { .. } => Exit::Configuration,
        LoadError::Unknown { .. } | LoadError::Unreachable { .. } => Exit::Remote,
        LoadError::Remote(_) | LoadError::System { .. } => Exit::Failed,
    };
    Stop::new(exit, format!("{:#}", anyhow::Error::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let host = |url: &str| target(url).map_err(|stop| stop.message);
        assert_eq!(host("http://127.0.0.1:8080/"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(host("http://localhost"), Ok("localhost:80".to_owned()));
        assert_eq!(host("http://[::1]:8080"), Ok("[::1]:8080".to_owned()));
        assert!(host("https://localhost").is_err_and(|text| text.contains("no TLS")));
        assert!(host("localhost:8080").is_err());
        assert!(host("http://localhost/v1/x").is_err_and(|text| text.contains("--path")));
    }

    #[test]
    fn another_machine_is_refused_unless_it_is_allowed() {
        let arguments = BenchArgs {
            url: "http://192.0.2.1:8080".to_owned(),
            path: "/livez".to_owned(),
            rate: None,
            connections: 1,
            duration: Duration::from_secs(1),
            scenario: None,
            token: None,
            allow_remote: false,
            json: false,
        };
        let stop = run(&arguments).expect_err("not loopback");
        assert!(stop.message.contains("--allow-remote"), "{stop}");
    }
}
