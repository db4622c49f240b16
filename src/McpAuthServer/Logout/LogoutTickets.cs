using System.Globalization;
using System.Security.Cryptography;
using McpAuthServer.Pages;
using Microsoft.AspNetCore.DataProtection;

namespace McpAuthServer.Logout;

/// <summary>Seals a wish's parameters, with the time, on their way through the browser: an ID token has no place in an address.</summary>
internal sealed class LogoutTickets(IDataProtectionProvider protection, TimeProvider time)
{
    private readonly IDataProtector protector = protection.CreateProtector("McpAuth.Logout.1");

    public string Seal(string encoded) => protector.Protect(string.Create(CultureInfo.InvariantCulture, $"{time.GetUtcNow().ToUnixTimeSeconds()} {encoded}"));

    /// <summary>Null when it is none of ours, was altered, or is more than an hour old.</summary>
    public string? Open(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        try
        {
            var parts = protector.Unprotect(text).Split(' ', 2);
            var sealedAt = DateTimeOffset.FromUnixTimeSeconds(long.Parse(parts[0], CultureInfo.InvariantCulture));
            return time.GetUtcNow() - sealedAt <= Interactions.Life ? parts[1] : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
