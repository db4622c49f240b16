using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace McpAuthServer.People;

/// <summary>What a password and its hash may be. Length is all that is asked (NIST SP 800-63B-4 §3.1.1.2: no composition rules).</summary>
internal sealed partial class Passwords : IPasswordValidator<Account>
{
    /// <summary>In code points, as JSON Schema counts them.</summary>
    public const int Least = 12, Most = 256;

    /// <summary>Of PBKDF2-HMAC-SHA512.</summary>
    public const int Iterations = 210_000, LeastIterations = 100_000, MostIterations = 10_000_000;

    public static readonly string Rule = $"{Least} to {Most} characters";

    public static bool IsAdmissible(string password) => password.EnumerateRunes().Count() is >= Least and <= Most;

    /// <summary>
    /// Identity's version 3 in the shape it writes: HMAC-SHA512, 16 bytes of salt, 32 of key; and a number of iterations that is neither
    /// careless nor a way to keep a processor busy.
    /// </summary>
    public static bool IsHash(string text)
    {
        if (!HashForm().IsMatch(text))
            return false;
        var bytes = Convert.FromBase64String(text);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(5)) is >= LeastIterations and <= MostIterations;
    }

    public static void Configure(PasswordHasherOptions options) => options.IterationCount = Iterations;

    /// <summary>As the server itself hashes.</summary>
    public static string Hash(string password)
    {
        var options = new PasswordHasherOptions();
        Configure(options);
        return new PasswordHasher<Account>(Options.Create(options)).HashPassword(new Account(), password);
    }

    /// <summary>A hash that costs what any other costs to verify, and that no password has.</summary>
    public static string NobodysHash()
    {
        byte[] bytes = [1, 0, 0, 0, 2, .. BigEndian(Iterations), .. BigEndian(16), .. RandomNumberGenerator.GetBytes(16 + 32)];
        return Convert.ToBase64String(bytes);
    }

    /// <summary>What Identity asks; the least length is among its own options.</summary>
    public Task<IdentityResult> ValidateAsync(UserManager<Account> manager, Account user, string? password) => Task.FromResult(
        password is not null && IsAdmissible(password)
            ? IdentityResult.Success
            : IdentityResult.Failed(new IdentityError { Code = "PasswordLength", Description = string.Create(CultureInfo.InvariantCulture, $"A password has {Rule}.") }));

    private static byte[] BigEndian(int number) => [(byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number];

    [GeneratedRegex(@"^AQAAAAIA[A-Za-z0-9+/]{4}AAAAE[A-P][A-Za-z0-9+/]{63}[AQgw]==\z")]
    private static partial Regex HashForm();
}
