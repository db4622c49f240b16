using System.Security.Cryptography;
using McpAuth.Protocol.Jose;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.People;

/// <summary>How a person signs in; its key is the user's id. Only users with an e-mail address, which is the sign-in name, have one.</summary>
internal sealed class Account : IdentityUser
{
    /// <summary>What two spellings of one sign-in name have in common; the form that must be unique.</summary>
    public static string Normalize(string email) => email.ToUpperInvariant();

    /// <summary>Hashes it, which costs a tenth of a second.</summary>
    public void SetPassword(IPasswordHasher<Account> hasher, string password) => (PasswordHash, SecurityStamp) = (hasher.HashPassword(this, password), NewStamp());

    public static string NewStamp() => Base64Url.Encode(RandomNumberGenerator.GetBytes(20));
}

/// <summary>Identity's view of <see cref="Account.Normalize"/>, so that there is one rule.</summary>
internal sealed class AccountNames : ILookupNormalizer
{
    public string? NormalizeName(string? name) => name is null ? null : Account.Normalize(name);

    public string? NormalizeEmail(string? email) => NormalizeName(email);
}
