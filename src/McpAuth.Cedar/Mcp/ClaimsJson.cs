using System.Text.Json;
using System.Text.Unicode;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Mcp;

/// <summary>A token's claims, as a JSON object.</summary>
internal static class ClaimsJson
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>The claims by name, and the subject among them.</summary>
    /// <param name="subject">The claim <c>sub</c>; empty when there are errors.</param>
    public static JsonDocument? Read(ReadOnlyMemory<byte> claims, List<Diagnostic> errors, out string subject)
    {
        subject = "";
        JsonDocument? document = null;
        try
        {
            if (Utf8.IsValid(claims.Span)) document = JsonDocument.Parse(claims, Strict);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for half a character in a name
        {
        }
        if (document?.RootElement.ValueKind != JsonValueKind.Object)
            errors.Add(new("claims", "The claims are no JSON object, nest too deeply, or have one twice."));
        else if (!document.RootElement.TryGetProperty("sub", out JsonElement sub) || SchemaObject.TextOf(sub) is not { Length: > 0 } text)
            errors.Add(new("claims", "There is no subject.", Path: "$.sub"));
        else
            subject = text;
        return document;
    }

    public static Diagnostic LeftOut(string claim, string reason) => new("claim_left_out", reason, Path: $"$.{claim}") { Severity = Severity.Warning };
}
