//! The gates one by one: requests enter at each station in turn; what a station costs is what a
//! request costs more than one that enters behind it. The actors, their mailboxes and the answer's
//! way back are those of a node.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use http::{HeaderValue, Method, header};
use tokio::task::JoinSet;
use troupe_actors::{Deadline, Moment, Origin, PermissionSet, Principal, PrincipalKind, Scope};
use troupe_edge::{Gates, Station};
use troupe_kernel::{HttpRequest, StatusCode, SystemClock, Uuid, new_id};

use super::Row;
use crate::cpu_time;
use crate::fixture::Fixture;
use crate::http::troupe::Platform;
use crate::http::{DEADLINE, Documents, Start};

/// Requests that are on their way at the same time.
const CALLERS: usize = 64;
const REQUESTS: usize = 32_768;
const REQUESTS_WITH_NEW_TOKENS: usize = 2_048;
/// The number of the item's route.
const ROUTE: u32 = 0;

pub(super) fn rows(rounds: usize, directory: &Path) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let platform = Platform::start(&start(directory)).await?;
        let rows = measure(platform.edge.gates(), rounds, &Visitors::read(directory)?).await;
        platform.stop().await?;
        rows
    })
}

fn start(directory: &Path) -> Start {
    Start {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        directory: directory.to_owned(),
        threads: 1,
        on_cores: false,
        documents: Documents::Kept,
        quota: 1_000_000_000,
        timed_in_full_max: 1000,
        database: None,
        records_max: 4096,
        tap: false,
    }
}

/// Who asks, and for what.
struct Visitors {
    tokens: Vec<HeaderValue>,
    fresh: Vec<HeaderValue>,
    principals: Vec<Arc<Principal>>,
    item: Uuid,
}

impl Visitors {
    fn read(directory: &Path) -> anyhow::Result<Self> {
        let fixture = Fixture::read(directory)?;
        let item = fixture.items.first().context("the fixture has items")?.id;
        let mut permissions = PermissionSet::new();
        (0..2).for_each(|bit| permissions.insert(bit));
        let principal = |(subject, _): (&Uuid, _)| {
            Arc::new(Principal {
                subject: *subject,
                kind: PrincipalKind::User,
                tenant: None,
                session: None,
                permissions: permissions.clone(),
                bound: None,
                label: String::new(),
            })
        };
        let allowed = fixture.permissions.iter().filter(|(_, held)| !held.is_empty());
        Ok(Self {
            tokens: tokens(directory, "tokens.txt", CALLERS)?,
            fresh: tokens(directory, "tokens-fresh.txt", usize::MAX)?,
            principals: allowed.take(CALLERS).map(principal).collect(),
            item,
        })
    }

    fn request(&self, token: Option<&HeaderValue>, number: usize) -> HttpRequest {
        let mut origin = Origin::new(new_id(&SystemClock));
        if token.is_none() {
            origin.principal = Some(self.principals[number % self.principals.len()].clone());
        }
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let scope = Scope::until(Deadline::counted_from(Moment::now(), DEADLINE), origin);
        let mut request =
            HttpRequest::new(Method::GET, format!("/items/{}", self.item), peer, scope);
        request.parameters.push(("id".to_owned(), self.item.to_string()));
        if let Some(token) = token {
            request.headers.insert(header::AUTHORIZATION, token.clone());
        }
        request
    }
}

fn tokens(directory: &Path, name: &str, count: usize) -> anyhow::Result<Vec<HeaderValue>> {
    let text = fs::read_to_string(directory.join(name))?;
    let fields = text.lines().take(count).map(|token| format!("Bearer {token}").parse());
    Ok(fields.collect::<Result<_, _>>()?)
}

async fn measure(gates: &Gates, rounds: usize, all: &Visitors) -> anyhow::Result<Vec<Row>> {
    let names = [
        "gate: limit per address",
        "gate: authentication, a known token",
        "gate: authorization",
        "gate: limit per principal",
        "gate: delivery, with the service and the way back",
        "gate: authentication, a new token",
    ];
    let mut costs = vec![Vec::new(); names.len()];
    let mut fresh = all.fresh.chunks_exact(REQUESTS_WITH_NEW_TOKENS);
    for round in 0..=rounds {
        let mut whole = Vec::new();
        for station in Station::ALL {
            let known = matches!(station, Station::Address | Station::Authentication);
            let token = |number: usize| known.then(|| &all.tokens[number % all.tokens.len()]);
            let requests = (0..REQUESTS).map(|number| all.request(token(number), number));
            whole.push(enter(gates, station, requests.collect()).await?);
        }
        let new = fresh.next().context("the fixture has too few new tokens for so many rounds")?;
        let requests = new.iter().map(|token| all.request(Some(token), 0)).collect();
        let new = enter(gates, Station::Authentication, requests).await?;
        if round == 0 {
            continue;
        }
        for (place, pair) in whole.windows(2).enumerate() {
            costs[place].push(pair[0] - pair[1]);
        }
        costs[4].push(whole[4]);
        costs[5].push(new - whole[2]);
    }
    let rows = names.into_iter().zip(costs);
    Ok(rows.map(|(name, ours)| Row { name: name.to_owned(), ours, plain: None }).collect())
}

/// CPU nanoseconds of a request, its making left out.
async fn enter(gates: &Gates, station: Station, requests: Vec<HttpRequest>) -> anyhow::Result<f64> {
    let count = requests.len();
    let mut shares: Vec<Vec<HttpRequest>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for (number, request) in requests.into_iter().enumerate() {
        shares[number % CALLERS].push(request);
    }
    let before = cpu_time();
    let mut callers = JoinSet::new();
    for share in shares {
        let gates = gates.clone();
        callers.spawn(async move {
            for request in share {
                let response = gates.enter(station, ROUTE, request).await?;
                anyhow::ensure!(response.status == StatusCode::OK, "answered {}", response.status);
            }
            Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    let spent = cpu_time().saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a short run")]
    let cost = spent.as_nanos() as f64 / count as f64;
    Ok(cost)
}
