//! Storages that gldoctor does not list: how to look by hand.

use crate::checks::shell::word;
use crate::host::Unknown;

/// Why the tags of an object store cannot be told, and the command that tells. `bucket` is the
/// bucket or container, `root` the folder in it, where they are known.
pub(super) fn untold(driver: &str, bucket: Option<&str>, root: Option<&str>) -> Unknown {
    let bucket = bucket.map_or_else(|| "BUCKET".to_owned(), word);
    let root = root.unwrap_or_default().trim_matches('/');
    let slash = if root.is_empty() { "" } else { "/" };
    let prefix = word(&format!("{root}{slash}docker/registry/v2/repositories/"));
    // The key of the tags folder itself is the one that makes a tag without a name; a key of the
    // repository's own folder, which the documentation names, makes none.
    let command = match driver {
        "s3" | "s3_v2" | "s3aws" => format!(
            "aws s3api list-objects-v2 --bucket {bucket} --prefix {prefix} \
             --query \"Contents[?ends_with(Key, '/_manifests/tags/')].Key\" (with \
             --endpoint-url for a store that is not Amazon's)"
        ),
        "azure" | "azure_v2" => format!(
            "az storage blob list --account-name ACCOUNT --container-name {bucket} \
             --prefix {prefix} --num-results '*' \
             --query \"[?ends_with(name, '/_manifests/tags/')].name\""
        ),
        "gcs" => format!(
            "gcloud storage objects list gs://{bucket}/{prefix}** --format='value(name)' \
             | grep '/_manifests/tags/$'"
        ),
        _ => "list every key that ends in /_manifests/tags/".to_owned(),
    };
    Unknown::Unreadable(format!(
        "the images lie in an object store ({driver}), which this version does not list; a tag \
         without a name comes from an empty object whose key ends in /_manifests/tags/, with the \
         slash. To look by hand: {command}"
    ))
}

#[test]
fn the_command_holds_what_is_known() {
    let text = untold("s3", Some("images"), Some("/reg/")).to_string();
    assert!(
        text.contains("--bucket images --prefix reg/docker/registry/v2/repositories/ "),
        "{text}"
    );
    let text = untold("gcs", None, None).to_string();
    assert!(text.contains("gs://BUCKET/docker/registry/v2/repositories/** "), "{text}");
    assert!(untold("azure", Some("c"), None).to_string().contains("--container-name c "));
    assert!(untold("swift", None, None).to_string().contains("list every key"));
}
