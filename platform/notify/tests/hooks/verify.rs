//! The receiving side of Standard Webhooks, written from the specification alone: HMAC as in RFC 2104
//! over SHA-256 of another library than the platform signs with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::receiver::Received;

const BLOCK_BYTES: usize = 64;

/// Whether the message carries a signature of this secret, made within five minutes of `now_secs`.
pub(crate) fn verifies(received: &Received, secret: &str, now_secs: i64) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
    assert!((24..=64).contains(&key.len()), "{} bytes", key.len());
    let (id, timestamp) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    assert!(!id.contains('.'), "{id}");
    let made: i64 = timestamp.parse().expect("seconds");
    if (now_secs - made).abs() > 300 {
        return false;
    }
    let content = format!("{id}.{timestamp}.{}", received.body);
    let expected = STANDARD.encode(hmac(&key, content.as_bytes()));
    received.header("webhook-signature").split(' ').any(|signature| {
        signature
            .split_once(',')
            .is_some_and(|(version, value)| version == "v1" && value == expected)
    })
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block =
        if key.len() > BLOCK_BYTES { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.resize(BLOCK_BYTES, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<_>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn the_verifier_knows_the_vector_of_rfc_4231() {
    let tag = hmac(b"Jefe", b"what do ya want for nothing?");
    let text: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
