//! The manual: one page with every noun, verb and flag, or one page for each.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

/// One page per command, in a directory that is made if it is not there.
pub(crate) fn write(command: Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), directory)
}

/// Everything on one page.
pub(crate) fn page(command: Command) -> io::Result<String> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let whole = Man::new(command.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    for noun in command.get_subcommands() {
        section(noun, &mut page)?;
    }
    whole.render_version_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// A command, then those below it. What holds for all of them is said once, at the top of the page.
fn section(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let words = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.extend_from_slice(format!(".SH {}\n{}\n", words.to_uppercase(), text(&about)).as_bytes());
    if command.has_subcommands() {
        return command.get_subcommands().try_for_each(|verb| section(verb, page));
    }
    let own = command.clone().mut_args(|arg| {
        let everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(everywhere)
    });
    let (man, mut part) = (Man::new(own.clone()), Vec::new());
    man.render_synopsis_section(&mut part)?;
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut part)?;
    }
    let part = String::from_utf8_lossy(&part).replace("\n.SH ", "\n.SS ");
    page.extend_from_slice(part.as_bytes());
    Ok(())
}

/// Text that roff takes for text.
fn text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}
