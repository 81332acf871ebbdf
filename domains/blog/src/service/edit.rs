//! What a caller wants a post to be, checked and rendered before any transaction.

use troupe_kernel::Failure;

use super::compute;
use crate::content::limits::BODY_BYTES_MAX;
use crate::content::markdown::{self, BodyError, Rendered};
use crate::content::{excerpt, slug, tags, title};
use crate::error::BlogError;
use crate::messages::{NewPost, PostChange};

/// A body with what is derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) markdown: String,
    pub(super) html: String,
    pub(super) plain: String,
}

/// The slug a post is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WantedSlug {
    /// This one or none.
    Exactly(String),
    /// This one, or a free one like it.
    Like(String),
}

/// A change of a post; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) title: Option<String>,
    pub(super) body: Option<Body>,
    /// The author's excerpt; `Some(None)` makes it automatic.
    pub(super) excerpt: Option<Option<String>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) slug: Option<WantedSlug>,
    pub(super) comments_enabled: Option<bool>,
}

impl Edit {
    /// The edit that makes a new post.
    pub(super) async fn of_new(post: &NewPost) -> Result<Self, Failure> {
        let change = PostChange {
            title: Some(post.title.clone()),
            body: Some(post.body.clone()),
            slug: post.slug.clone(),
            excerpt: post.excerpt.clone(),
            tags: Some(post.tags.clone()),
            comments_enabled: post.comments_enabled,
        };
        Self::of_change(&change).await
    }

    /// The edit that makes a change.
    pub(super) async fn of_change(change: &PostChange) -> Result<Self, Failure> {
        let title = change.title.as_deref().map(title::normalise).transpose();
        let tags = change.tags.as_deref().map(tags::normalise).transpose();
        let excerpt = change.excerpt.as_deref().map(excerpt::given).transpose();
        let body = match &change.body {
            Some(body) => Some(render(body).await?),
            None => None,
        };
        Ok(Self {
            title: title.map_err(BlogError::from)?,
            body,
            excerpt: excerpt.map_err(BlogError::Excerpt)?,
            tags: tags.map_err(BlogError::from)?,
            slug: change.slug.as_deref().map(exact).transpose()?,
            comments_enabled: change.comments_enabled,
        })
    }
}

/// Checks and renders a body.
pub(super) async fn render(body: &str) -> Result<Body, Failure> {
    // Checked before the text is copied to another thread.
    if body.len() > BODY_BYTES_MAX {
        return Err(BlogError::from(BodyError::TooLarge(body.len())).into());
    }
    let text = body.to_owned();
    let rendered = compute(text.len(), move || -> Result<Body, BodyError> {
        let markdown = markdown::normalise(&text)?;
        let Rendered { html, plain } = markdown::render(&markdown)?;
        Ok(Body { markdown, html, plain })
    });
    Ok(rendered.await?.map_err(BlogError::from)?)
}

fn exact(given: &str) -> Result<WantedSlug, BlogError> {
    if slug::is_slug(given) {
        return Ok(WantedSlug::Exactly(given.to_owned()));
    }
    Err(BlogError::Slug { given: given.chars().take(100).collect(), better: slug::slugify(given) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_post_is_normalised_and_rendered() {
        let post = NewPost {
            title: " A  title ".to_owned(),
            body: "\r\n*x*\r\n".to_owned(),
            tags: vec!["B".to_owned()],
            ..NewPost::default()
        };
        let edit = Edit::of_new(&post).await.expect("valid");
        assert_eq!(edit.title.as_deref(), Some("A title"));
        let body = edit.body.expect("given");
        assert_eq!((body.markdown.as_str(), body.html.as_str()), ("*x*", "<p><em>x</em></p>\n"));
        assert_eq!(edit.tags, Some(vec!["b".to_owned()]));
        assert_eq!((edit.excerpt, edit.slug), (None, None));
    }

    #[tokio::test]
    async fn a_large_body_is_rendered_on_another_thread() {
        let body = "word ".repeat(10_000);
        assert!(render(&body).await.expect("valid").html.starts_with("<p>word "));
    }

    #[tokio::test]
    async fn a_text_that_is_no_slug_is_refused_with_a_better_one() {
        let change = PostChange { slug: Some("Not A Slug".to_owned()), ..PostChange::default() };
        let failure = Edit::of_change(&change).await.expect_err("refused");
        assert_eq!(failure.code(), "blog.slug.invalid");
        assert!(failure.detail().contains("`not-a-slug`"), "{failure}");
    }
}
