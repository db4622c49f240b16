using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.DataProtection;

namespace McpAuthServer.Pages;

/// <summary>Seals interactions into text for an address or a hidden field, and opens them again, on any node.</summary>
internal sealed class Interactions(IDataProtectionProvider protection, TimeProvider time)
{
    public static readonly TimeSpan Life = TimeSpan.FromHours(1);

    private readonly IDataProtector protector = protection.CreateProtector("McpAuth.Interaction.1");

    public string Seal(Interaction interaction) => protector.Protect(JsonSerializer.Serialize(interaction, InteractionJson.Default.Interaction));

    /// <summary>Null when it is none of ours, was altered, or began more than an hour ago.</summary>
    public Interaction? Open(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        try
        {
            var interaction = JsonSerializer.Deserialize(protector.Unprotect(text), InteractionJson.Default.Interaction);
            return interaction is not null && time.GetUtcNow() - interaction.Begun <= Life ? interaction : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}

[JsonSerializable(typeof(Interaction))]
internal sealed partial class InteractionJson : JsonSerializerContext;
