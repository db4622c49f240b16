namespace McpAuthServer;

/// <summary>The text beside an error code. What is described came from outside: a fault's path can hold the sender's own characters, and any number of them.</summary>
internal static class ErrorDescription
{
    private const int Longest = 500;

    /// <summary>With the characters that it may have, whichever endpoint tells it: %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §4.1.2.1, §5.2).</summary>
    public static string Shown(string description) => string.Create(Math.Min(description.Length, Longest), description, static (shown, text) =>
    {
        for (var i = 0; i < shown.Length; i++)
            shown[i] = text[i] switch { '"' => '\'', '\\' or < ' ' or > '~' => '?', var c => c };
    });
}
