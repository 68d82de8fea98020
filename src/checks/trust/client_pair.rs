//! A client's certificate and key in a folder of `certs.d`, of which Docker wants both or none.

/// What a folder lacks so that Docker fails, in Docker's words, and the file that lacks it.
pub(super) fn incomplete_pair(names: &[&str]) -> Option<(String, String)> {
    let (name, partner) = unpaired(names)?;
    let words = if name.strip_suffix(".cert").is_some() {
        format!(
            "missing key {partner} for client certificate {name}. CA certificates must use the \
             extension .crt"
        )
    } else {
        format!("missing client certificate {partner} for key {name}")
    };
    Some((words, name))
}

/// Half of a client's pair, and the name of the half that is missing. Docker goes by the order of
/// names, and stops at the first.
pub(super) fn unpaired(names: &[&str]) -> Option<(String, String)> {
    names.iter().find_map(|name| {
        let partner = match (name.strip_suffix(".cert"), name.strip_suffix(".key")) {
            (Some(stem), _) => format!("{stem}.key"),
            (None, Some(stem)) => format!("{stem}.cert"),
            (None, None) => return None,
        };
        (!names.contains(&partner.as_str())).then(|| ((*name).to_owned(), partner))
    })
}
