using System.Text;

namespace McpAuth.Protocol.Text;

/// <summary>Unicode Normalization Form C (UAX #15).</summary>
internal static class Nfc
{
    public static bool IsNormalized(string text) => Ascii.IsValid(text);
}
