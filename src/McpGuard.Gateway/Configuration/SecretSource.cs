namespace McpGuard.Gateway.Configuration;

/// <summary>A value that does not stand in the file: <c>{"env": "NAME"}</c> or <c>{"file": "path"}</c>, after an optional <c>prefix</c>.</summary>
internal static class SecretSource
{
    /// <summary>Null when it cannot be had, which is a fault unless it <paramref name="mayBeEmpty"/>.</summary>
    public static string? Read(ObjectReader source, string directory, Func<string, string?> environment, bool mayBeEmpty = false)
    {
        (string? variable, string? file, string? prefix) = (source.Text("env"), source.Text("file"), source.Text("prefix"));
        source.Done();
        if (variable is null == file is null)
        {
            source.Fault("source", "This names one source: env or file.");
            return null;
        }
        string? value;
        try
        {
            // An editor's newline at the end is not part of a secret.
            value = variable is not null ? environment(variable) : File.ReadAllText(Path.GetFullPath(file!, directory)).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            value = null;
        }
        if (string.IsNullOrEmpty(value))
        {
            if (!mayBeEmpty) source.Fault("no_value", variable is not null ? $"The environment variable {variable} is not set." : $"The file {file} cannot be read, or is empty.");
            return null;
        }
        if (!value.Any(char.IsControl)) return prefix + value;
        source.Fault("bad_value", "The value holds control characters.");
        return null;
    }
}
