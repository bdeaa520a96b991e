//! The OpenAPI document, made from the handlers and the wire types.

use handfast_client::wire;
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        Content, OpenApi, Ref, ResponseBuilder, SecurityRequirement,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::api;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Handfast",
        description = "All of it happens, or none of it does: transactions over databases and \
                       services that know nothing of each other.",
    ),
    paths(
        api::transactions::begin,
        api::transactions::list,
        api::transactions::show,
        api::transactions::commit,
        api::transactions::abort,
        api::transactions::retry,
        api::transactions::edit,
        api::transactions::resolve,
        api::transactions::add,
        api::bulk::commit,
        api::bulk::abort,
        api::bulk::retry,
        api::bulk::edit,
        api::bulk::resolve,
        api::sagas::apply,
        api::sagas::list,
        api::sagas::show,
        api::sagas::run,
        api::system::resources,
        api::system::check,
        api::system::inquire,
        api::system::messages,
        api::system::openapi,
        api::system::errors,
        api::system::healthz,
        api::system::readyz,
        api::system::metrics,
    ),
    // What no operation names as its one answer.
    components(schemas(wire::BulkDone, wire::DryRun)),
    modifiers(&Common)
)]
struct Document;

/// The document.
pub fn document() -> OpenApi {
    Document::openapi()
}

/// The document as JSON, as /openapi.json answers it.
pub fn json() -> String {
    let mut text = document().to_pretty_json().expect("the document has text keys only");
    text.push('\n');
    text
}

/// What holds for every operation: the token, and the problem that may come instead.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
        // Either a token, or none where none are configured.
        let none = SecurityRequirement::default();
        let token = SecurityRequirement::new("token", Vec::<String>::new());
        document.security = Some(vec![token, none]);
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description("Not taken: nothing happened, unless the status is 500.")
            .content("application/problem+json", problem)
            .build();
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put].into_iter().flatten() {
                let responses = &mut operation.responses.responses;
                responses.insert("default".into(), response.clone().into());
            }
        }
    }
}
