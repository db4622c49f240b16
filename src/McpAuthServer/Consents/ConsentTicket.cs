using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuthServer.Pages;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.DataProtection;

namespace McpAuthServer.Consents;

/// <summary>What a page that was shown knows of itself: it comes back sealed with the answer, which counts for this and for nothing else.</summary>
/// <param name="Session">Before which sign-in it was shown, and <paramref name="User"/> before whom.</param>
/// <param name="Page">Random: one page, one answer.</param>
/// <param name="Shown">When; the request is read as of then, so that what was shown is what is granted.</param>
/// <param name="Digest">Of everything that stood on it: <see cref="ConsentView.Digest"/>.</param>
internal sealed record ConsentTicket(Interaction Interaction, string Session, string User, string Page, DateTimeOffset Shown, string Digest)
{
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(10);

    public Once Decision => Once.Decision(Page, Shown + Life);
}

/// <summary>Seals tickets into a hidden field, and opens them again, on any node.</summary>
internal sealed class ConsentTickets(IDataProtectionProvider protection, TimeProvider time)
{
    private readonly IDataProtector protector = protection.CreateProtector("McpAuth.Consent.1");

    public string Seal(Interaction interaction, SignedIn who, DateTimeOffset shown, string digest) => protector.Protect(JsonSerializer.Serialize(
        new ConsentTicket(interaction, who.Session.Id, who.Person.Id, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)), shown, digest),
        ConsentJson.Default.ConsentTicket));

    /// <summary>Null when it is none of ours, was altered, or the page has been open for too long.</summary>
    public ConsentTicket? Open(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        try
        {
            var ticket = JsonSerializer.Deserialize(protector.Unprotect(text), ConsentJson.Default.ConsentTicket);
            return ticket is not null && time.GetUtcNow() - ticket.Shown <= ConsentTicket.Life ? ticket : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}

[JsonSerializable(typeof(ConsentTicket)), JsonSerializable(typeof(ConsentView))]
internal sealed partial class ConsentJson : JsonSerializerContext;
