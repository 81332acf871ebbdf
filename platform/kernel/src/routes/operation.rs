//! The OpenAPI description of a route, collected from the types it names.

use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema};

/// A body: its media type and, for JSON, its schema.
#[derive(Clone, PartialEq)]
pub struct Media {
    /// The media type.
    pub media_type: String,
    /// The schema of a JSON body.
    pub schema: Option<RefOr<Schema>>,
}

/// One parameter of the query.
#[derive(Clone, PartialEq)]
pub struct QueryParameter {
    /// Its name.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be.
    pub schema: RefOr<Schema>,
}

/// One possible answer.
#[derive(Clone, PartialEq)]
pub struct ResponseDoc {
    /// The status.
    pub status: u16,
    /// The body; none for an answer without one.
    pub media: Option<Media>,
}

/// The OpenAPI description of a route.
#[derive(Clone, Default, PartialEq)]
pub struct Operation {
    /// What it does, in a few words.
    pub summary: String,
    /// What it does, in full.
    pub description: String,
    /// The groups it belongs to.
    pub tags: Vec<String>,
    /// The parameters of its query.
    pub query: Vec<QueryParameter>,
    /// Whether it answers pages.
    pub paginated: bool,
    /// Whether it needs `If-Match`.
    pub versioned: bool,
    /// The body it takes.
    pub body: Option<Media>,
    /// The answers it gives besides problems.
    pub responses: Vec<ResponseDoc>,
    /// The named schemas that the others refer to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl Operation {
    pub(super) fn add_query<T: ToSchema>(&mut self) {
        T::schemas(&mut self.schemas);
        collect_parameters(&T::schema(), &mut self.query);
    }

    pub(super) fn set_body<T: ToSchema>(&mut self) {
        let schema = Some(self.reference::<T>());
        self.body = Some(Media { media_type: "application/json".to_owned(), schema });
    }

    pub(super) fn add_response<T: ToSchema>(&mut self, status: u16) {
        let schema = Some(self.reference::<T>());
        let media = Some(Media { media_type: "application/json".to_owned(), schema });
        self.responses.push(ResponseDoc { status, media });
    }

    pub(super) fn add_plain_response(&mut self, status: u16, media_type: Option<&str>) {
        let media = media_type.map(|name| Media { media_type: name.to_owned(), schema: None });
        self.responses.push(ResponseDoc { status, media });
    }

    /// Adds the type's schema to the named ones and answers a reference; a list or a map, which
    /// has no name of its own, stays in place.
    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        let schema = T::schema();
        let name = T::name();
        let nameable =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let is_object = matches!(
            &schema,
            RefOr::T(Schema::Object(_) | Schema::OneOf(_) | Schema::AllOf(_) | Schema::AnyOf(_))
        );
        if !nameable || !is_object || name.is_empty() {
            return schema;
        }
        self.schemas.push((name.to_string(), schema));
        RefOr::Ref(utoipa::openapi::Ref::from_schema_name(name))
    }
}

fn collect_parameters(schema: &RefOr<Schema>, parameters: &mut Vec<QueryParameter>) {
    match schema {
        RefOr::T(Schema::Object(object)) => collect_properties(object, parameters),
        RefOr::T(Schema::AllOf(all)) => {
            for part in &all.items {
                collect_parameters(part, parameters);
            }
        }
        _ => {}
    }
}

fn collect_properties(object: &Object, parameters: &mut Vec<QueryParameter>) {
    for (name, schema) in &object.properties {
        parameters.push(QueryParameter {
            name: name.clone(),
            required: object.required.contains(name),
            schema: schema.clone(),
        });
    }
}
