//! The header fields that report rate limits: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers, structured-field form).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use troupe_actors::RateState;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Reports the state of a limit.
pub(crate) fn report(state: &RateState, headers: &mut HeaderMap) {
    let RateState { policy, quota, window_secs, remaining, reset_secs } = state;
    let fields = [
        (POLICY, ["q=", "w="], [quota, window_secs]),
        (STATE, ["r=", "t="], [remaining, reset_secs]),
    ];
    for (name, keys, numbers) in fields {
        let mut text = [0; ITEM_BYTES_MAX];
        let length = item(&mut text, policy, keys, numbers);
        if let Ok(value) = HeaderValue::from_bytes(&text[..length]) {
            headers.insert(name, value);
        }
    }
}

/// Names of policies are short; one that does not fit is cut.
const ITEM_BYTES_MAX: usize = 96;

/// Writes `"policy";k=1;l=2` and answers its length. Without the formatter and without a string,
/// which would be most of the cost in a path this hot.
fn item(text: &mut [u8], policy: &str, keys: [&str; 2], numbers: [&u32; 2]) -> usize {
    let mut length = 0;
    let mut put = |part: &str| {
        let room = text.len() - length;
        let part = &part.as_bytes()[..part.len().min(room)];
        text[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    };
    put("\"");
    put(policy);
    put("\"");
    for (key, number) in keys.into_iter().zip(numbers) {
        put(";");
        put(key);
        put(itoa::Buffer::new().format(*number));
    }
    length
}

/// The tighter of two limits: the one with the smaller share left.
pub(crate) fn tighter(known: Option<RateState>, new: RateState) -> RateState {
    let share =
        |state: &RateState| u64::from(state.remaining) * 1_000_000 / u64::from(state.quota.max(1));
    match known {
        Some(known) if share(&known) < share(&new) => known,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(policy: &str, quota: u32, remaining: u32) -> RateState {
        RateState {
            policy: policy.to_owned().into(),
            quota,
            window_secs: 60,
            remaining,
            reset_secs: 7,
        }
    }

    #[test]
    fn the_fields_have_the_form_of_the_draft() {
        let mut headers = HeaderMap::new();
        report(&state("address", 100, 42), &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"address\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"address\";r=42;t=7");
    }

    #[test]
    fn the_limit_with_less_left_is_reported() {
        let address = state("address", 100, 10);
        assert_eq!(tighter(Some(address.clone()), state("principal", 10, 5)), address);
        let principal = state("principal", 1000, 20);
        assert_eq!(tighter(Some(address), principal.clone()), principal);
    }
}
