//! The directory of prompts, read at a start, before any worker runs.
//!
//! Each `NAME.wav` becomes the prompt of that name. What cannot be one is refused by name, in the log and on the
//! notice board; the rest is there. Withstands: files that are none, are too long, too many, never end, or block.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use relay::Prompts;

/// More files are not looked at.
const FILES_MAX: usize = 1_000;
/// Longest prompt: whoever waits for a failure waits so long. Samples at 8 kHz.
const SAMPLES_MAX: usize = 60 * 8_000;
/// The longest file of that: 16 bits at 16 kHz, and room for what stands before them.
const FILE_BYTES_MAX: usize = SAMPLES_MAX * 4 + (1 << 20);
/// Longest name of a prompt.
const NAME_BYTES_MAX: usize = 32;
/// Lines about refused files on the notice board, which has room for other things too.
const REFUSED_SHOWN_MAX: usize = 8;

/// What was found.
pub struct Loaded {
    /// What can be played.
    pub prompts: Arc<Prompts>,
    /// Files that cannot, and why.
    pub refused: Vec<(String, String)>,
    /// How many bytes there may be.
    bytes_max: u64,
    /// Whether there is a directory at all.
    is_asked: bool,
}

impl Loaded {
    /// What `status` shows of it: nothing where there is no directory.
    #[must_use]
    pub fn notices(&self) -> Vec<(String, String)> {
        if !self.is_asked {
            return Vec::new();
        }
        let (count, bytes, refused) =
            (self.prompts.len(), self.prompts.bytes(), self.refused.len());
        let most = self.bytes_max;
        let all = format!("{count} loaded, {bytes} of {most} bytes, {refused} refused");
        let shown = self.refused.iter().take(REFUSED_SHOWN_MAX);
        let shown = shown.map(|(file, why)| (format!("prompt {file}"), why.clone()));
        [("prompts".to_owned(), all)].into_iter().chain(shown).collect()
    }
}

/// Reads the directory.
#[must_use]
pub fn load(config: &config::Prompts) -> Loaded {
    let bytes_max = config.bytes_max;
    let mut loaded =
        Loaded { prompts: Arc::default(), refused: Vec::new(), bytes_max, is_asked: false };
    let Some(directory) = &config.directory else { return loaded };
    loaded.is_asked = true;
    let mut speech = Vec::new();
    match files(directory) {
        Ok(files) => read_all(directory, &files, bytes_max, &mut speech, &mut loaded.refused),
        Err(error) => loaded.refused.push(("directory".to_owned(), error.to_string())),
    }
    let prompts = speech
        .iter()
        .map(|(name, samples): &(String, Vec<i16>)| (name.as_str(), samples.as_slice()));
    loaded.prompts = Arc::new(Prompts::new(prompts));
    for (file, why) in &loaded.refused {
        eprintln!("prompt_refused file={file:?} why={why:?}");
    }
    eprintln!("prompts_loaded count={} bytes={}", loaded.prompts.len(), loaded.prompts.bytes());
    loaded
}

/// The names of the WAV files, in order.
fn files(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        // A name that is no text is no prompt's.
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if Path::new(&name).extension().is_some_and(|end| end == "wav") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read_all(
    directory: &Path,
    files: &[String],
    bytes_max: u64,
    speech: &mut Vec<(String, Vec<i16>)>,
    refused: &mut Vec<(String, String)>,
) {
    let mut bytes = 0;
    for (place, file) in files.iter().enumerate() {
        let name = file.strip_suffix(".wav").unwrap_or(file);
        let read = match place < FILES_MAX {
            true => read(&directory.join(file), name),
            false => Err(format!("more than {FILES_MAX} files")),
        };
        match read {
            // In both laws, a byte of each for a sample.
            Ok(samples) if bytes + 2 * samples.len() as u64 <= bytes_max => {
                bytes += 2 * samples.len() as u64;
                speech.push((name.to_owned(), samples));
            }
            Ok(_) => refused.push((file.clone(), format!("prompts.max_mb: {bytes_max} bytes"))),
            Err(why) => refused.push((file.clone(), why)),
        }
    }
}

fn read(path: &Path, name: &str) -> Result<Vec<i16>, String> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
        return Err(format!("a name is up to {NAME_BYTES_MAX} of a-z, 0-9, - and _"));
    }
    // A pipe would be waited for.
    let is_file = std::fs::metadata(path).map_err(|error| error.to_string())?.is_file();
    if !is_file {
        return Err("no file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let too_long = || format!("longer than {} s", SAMPLES_MAX / 8_000);
    if bytes.len() > FILE_BYTES_MAX {
        return Err(too_long());
    }
    codec::wav::read(&bytes, SAMPLES_MAX).map_err(|fault| match fault {
        codec::wav::WavFault::TooLong => too_long(),
        fault => fault.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV file of A-law: so many samples of one word.
    fn a_law(samples: usize) -> Vec<u8> {
        let mut file =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data"
                .to_vec();
        file.extend((samples as u32).to_le_bytes());
        file.resize(file.len() + samples, 0xd5);
        file
    }

    #[test]
    fn what_can_be_heard_is_loaded_and_the_rest_is_named() {
        let directory =
            std::env::temp_dir().join(format!("tollgate-prompts-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("folder.wav")).unwrap();
        for (name, bytes) in [
            ("busy.wav", a_law(8_000)),
            ("486.wav", a_law(1)),
            ("default.wav", a_law(SAMPLES_MAX)),
            ("no_route.wav", a_law(SAMPLES_MAX + 1)),
            ("endless.wav", vec![0; FILE_BYTES_MAX + 1]),
            ("broken.wav", b"RIFF".to_vec()),
            ("Loud.wav", a_law(10)),
            ("notes.txt", b"not looked at".to_vec()),
        ] {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        let config = |bytes_max| {
            let text = format!("[prompts]\ndirectory = \"{}\"\n", directory.display());
            let example = "[[interface]]\nname = \"a\"\n[[address]]\nip = \"192.0.2.1/24\"\ninterface = \"a\"\n";
            let config = config::Config::parse(&format!("{example}{text}")).unwrap();
            let mut prompts = config.prompts;
            prompts.bytes_max = bytes_max;
            prompts
        };
        let loaded = load(&config(1 << 24));
        let refused: Vec<&str> = loaded.refused.iter().map(|(file, _)| file.as_str()).collect();
        let expected = ["Loud.wav", "broken.wav", "endless.wav", "folder.wav", "no_route.wav"];
        assert_eq!(refused, expected);
        assert!(loaded.prompts.find("busy").is_some() && loaded.prompts.find("486").is_some());
        assert_eq!(loaded.prompts.len(), 3);
        let notices = loaded.notices();
        assert!(notices[0].1.starts_with("3 loaded, "), "{notices:?}");
        assert_eq!(notices.len(), 6);
        // Too small for the longest one: the others are there.
        let loaded = load(&config(20_000));
        assert_eq!(loaded.prompts.len(), 2);
        assert!(loaded.prompts.bytes() <= 20_000);
        std::fs::remove_dir_all(&directory).unwrap();
        let loaded = load(&config(1 << 24));
        assert!(loaded.prompts.is_empty() && loaded.refused[0].0 == "directory");
        let mut none = config(1);
        none.directory = None;
        assert!(load(&none).notices().is_empty());
    }
}
