using System.Security.Cryptography;

namespace McpAuthServer.Authorizations;

/// <summary>
/// What a person types to name a device's request (RFC 8628 §6.1): eight consonants, 34 bits, which nobody mistakes for each other and which make no
/// words. Enough where it lasts for minutes and guesses are counted (§5.1).
/// </summary>
internal static class UserCode
{
    private const string Letters = "BCDFGHJKLMNPQRSTVWXZ";
    private const int Length = 8;

    public static string New() => Shown(RandomNumberGenerator.GetString(Letters, Length));

    /// <summary>As it is stored and shown, whatever of dashes, blanks and lower case was typed; null when it cannot be one.</summary>
    public static string? Read(string? typed)
    {
        if (typed is null or { Length: > 64 })
            return null;
        var letters = string.Concat(typed.Where(char.IsAsciiLetter)).ToUpperInvariant();
        return letters.Length == Length && letters.All(Letters.Contains) && typed.All(c => char.IsAsciiLetter(c) || c is '-' or ' ') ? Shown(letters) : null;
    }

    private static string Shown(string letters) => $"{letters[..4]}-{letters[4..]}";
}
