//! The posts of a blog as an Atom feed (RFC 4287), an RSS 2.0 feed and a sitemap.
//!
//! Pure: the same posts give the same bytes, so that the bytes have an ETag.

use atom_syndication as atom;
use troupe_kernel::clock::Timestamp;
use uuid::Uuid;

/// Who publishes, and where it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The blog's name.
    pub title: String,
    /// The address of the blog.
    pub link: String,
    /// The address of the feed itself.
    pub self_link: String,
    /// The tenant, for a stable feed id.
    pub tenant: Uuid,
}

/// One post of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The post's id, which stays when its slug changes.
    pub id: Uuid,
    /// The title.
    pub title: String,
    /// The address of the post.
    pub link: String,
    /// The excerpt as text.
    pub summary: String,
    /// Sanitised HTML.
    pub html: String,
    /// The tags.
    pub tags: Vec<String>,
    /// When it was published.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The Atom feed.
#[must_use]
pub fn atom(channel: &Channel, entries: &[Entry]) -> Vec<u8> {
    let mut feed = atom::Feed::default();
    feed.set_id(format!("urn:uuid:{}", channel.tenant));
    feed.set_title(text(&channel.title));
    feed.set_updated(latest(entries).to_datetime().fixed_offset());
    feed.set_links(vec![
        link(&channel.link, "alternate", None),
        link(&channel.self_link, "self", Some("application/atom+xml")),
    ]);
    feed.set_authors(vec![atom::Person {
        name: xml_text(&channel.title),
        ..atom::Person::default()
    }]);
    feed.set_entries(entries.iter().map(atom_entry).collect::<Vec<_>>());
    feed.write_to(Vec::new()).expect("writing to memory does not fail")
}

/// The RSS feed.
#[must_use]
pub fn rss(channel: &Channel, entries: &[Entry]) -> Vec<u8> {
    let mut feed = rss::Channel::default();
    feed.set_title(xml_text(&channel.title));
    feed.set_link(channel.link.clone());
    feed.set_description(xml_text(&channel.title));
    if !entries.is_empty() {
        feed.set_last_build_date(latest(entries).to_datetime().to_rfc2822());
    }
    feed.set_items(entries.iter().map(rss_item).collect::<Vec<_>>());
    feed.write_to(Vec::new()).expect("writing to memory does not fail")
}

/// The sitemap (sitemaps.org 0.9) of addresses and their last change.
#[must_use]
pub fn sitemap<'entry>(entries: impl Iterator<Item = (&'entry str, Timestamp)>) -> Vec<u8> {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for (link, changed) in entries {
        xml.push_str("<url><loc>");
        push_escaped(&mut xml, link);
        xml.push_str("</loc><lastmod>");
        xml.push_str(&changed.to_string());
        xml.push_str("</lastmod></url>\n");
    }
    xml.push_str("</urlset>\n");
    xml.into_bytes()
}

fn atom_entry(entry: &Entry) -> atom::Entry {
    let mut item = atom::Entry::default();
    item.set_id(format!("urn:uuid:{}", entry.id));
    item.set_title(text(&entry.title));
    item.set_links(vec![link(&entry.link, "alternate", None)]);
    item.set_published(entry.published_at.to_datetime().fixed_offset());
    item.set_updated(entry.updated_at.to_datetime().fixed_offset());
    item.set_summary(text(&entry.summary));
    item.set_categories(
        entry
            .tags
            .iter()
            .map(|tag| atom::Category { term: xml_text(tag), ..atom::Category::default() })
            .collect::<Vec<_>>(),
    );
    item.set_content(atom::Content {
        value: Some(xml_text(&entry.html)),
        content_type: Some("html".to_owned()),
        ..atom::Content::default()
    });
    item
}

fn rss_item(entry: &Entry) -> rss::Item {
    let mut item = rss::Item::default();
    item.set_title(xml_text(&entry.title));
    item.set_link(entry.link.clone());
    item.set_description(xml_text(&entry.summary));
    item.set_content(xml_text(&entry.html));
    item.set_pub_date(entry.published_at.to_datetime().to_rfc2822());
    item.set_guid(rss::Guid { value: format!("urn:uuid:{}", entry.id), permalink: false });
    item.set_categories(
        entry
            .tags
            .iter()
            .map(|tag| rss::Category { name: xml_text(tag), domain: None })
            .collect::<Vec<_>>(),
    );
    item
}

fn latest(entries: &[Entry]) -> Timestamp {
    entries.iter().map(|entry| entry.updated_at).max().unwrap_or(Timestamp::EPOCH)
}

fn text(value: &str) -> atom::Text {
    atom::Text::plain(xml_text(value))
}

fn link(href: &str, rel: &str, mime_type: Option<&str>) -> atom::Link {
    atom::Link {
        href: href.to_owned(),
        rel: rel.to_owned(),
        mime_type: mime_type.map(str::to_owned),
        ..atom::Link::default()
    }
}

/// Without the characters that XML 1.0 cannot hold.
fn xml_text(value: &str) -> String {
    value
        .chars()
        .filter(|c| {
            matches!(c, '\t' | '\n' | '\r')
                || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        })
        .collect()
}

fn push_escaped(xml: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Channel, Vec<Entry>) {
        let channel = Channel {
            title: "Ada & Friends".to_owned(),
            link: "https://blog.example/".to_owned(),
            self_link: "https://blog.example/feed.atom".to_owned(),
            tenant: Uuid::from_u128(1),
        };
        let entry = Entry {
            id: Uuid::from_u128(2),
            title: "<Hello> \"world\"\u{b}".to_owned(),
            link: "https://blog.example/hello?a=1&b=2".to_owned(),
            summary: "Short & sweet".to_owned(),
            html: "<p>Hello ]]&gt; ]]> &amp; <em>you</em></p>".to_owned(),
            tags: vec!["c++".to_owned(), "a&b".to_owned()],
            published_at: Timestamp::from_secs(1_714_557_600),
            updated_at: Timestamp::from_secs(1_714_561_200),
        };
        (channel, vec![entry])
    }

    #[test]
    fn the_atom_feed_is_read_back() {
        let (channel, entries) = sample();
        let feed = atom::Feed::read_from(atom(&channel, &entries).as_slice()).expect("valid Atom");
        assert_eq!(feed.title().as_str(), "Ada & Friends");
        assert_eq!(feed.links().len(), 2);
        let entry = &feed.entries()[0];
        assert_eq!(entry.title().as_str(), "<Hello> \"world\"");
        assert_eq!(entry.links()[0].href(), entries[0].link);
        assert_eq!(
            entry.content().and_then(|content| content.value()),
            Some(entries[0].html.as_str())
        );
        assert_eq!(entry.published().map(|time| time.timestamp()), Some(1_714_557_600));
        assert_eq!(entry.updated().timestamp(), 1_714_561_200);
        let tags: Vec<_> = entry.categories().iter().map(atom::Category::term).collect();
        assert_eq!(tags, ["c++", "a&b"]);
    }

    #[test]
    fn the_rss_feed_is_read_back() {
        let (channel, entries) = sample();
        let feed = rss::Channel::read_from(rss(&channel, &entries).as_slice()).expect("valid RSS");
        assert_eq!(feed.title(), "Ada & Friends");
        let item = &feed.items()[0];
        assert_eq!(item.title(), Some("<Hello> \"world\""));
        assert_eq!(item.link(), Some(entries[0].link.as_str()));
        assert_eq!(item.content(), Some(entries[0].html.as_str()));
        assert_eq!(item.pub_date(), Some("Wed, 1 May 2024 10:00:00 +0000"));
        assert_eq!(
            item.guid().map(|guid| (guid.value(), guid.is_permalink())),
            Some(("urn:uuid:00000000-0000-0000-0000-000000000002", false))
        );
    }

    #[test]
    fn an_empty_blog_has_valid_feeds() {
        let (channel, _) = sample();
        assert!(
            atom::Feed::read_from(atom(&channel, &[]).as_slice())
                .expect("valid")
                .entries()
                .is_empty()
        );
        assert!(
            rss::Channel::read_from(rss(&channel, &[]).as_slice())
                .expect("valid")
                .items()
                .is_empty()
        );
    }

    #[test]
    fn the_sitemap_escapes_addresses() {
        let xml = sitemap([("https://x.example/?a&b", Timestamp::from_secs(0))].into_iter());
        let xml = String::from_utf8(xml).expect("UTF-8");
        assert!(
            xml.contains(
                "<loc>https://x.example/?a&amp;b</loc><lastmod>1970-01-01T00:00:00Z</lastmod>"
            ),
            "{xml}"
        );
    }
}
