using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Architecture.Tests.Documents;

/// <param name="Class">Simple name of a class whose runs include the test.</param>
/// <param name="Traits">Those of the method, its class and the class's bases.</param>
internal sealed record TestMethod(string Class, string Method, IReadOnlyList<(string Name, string Value)> Traits)
{
    public string Name => $"{Class}.{Method}";
}

/// <summary>
/// The tests of compiled test assemblies: methods with an attribute named …Fact or …Theory in a class that can be created. A test
/// that a class inherits counts under the names of both.
/// </summary>
internal static class TestCatalogue
{
    public static IReadOnlyList<TestMethod> Read(IEnumerable<string> assemblies)
    {
        var classes = new Dictionary<string, TestClass>();
        foreach (var path in assemblies)
        {
            using var image = new PEReader(File.OpenRead(path));
            var metadata = image.GetMetadataReader();
            foreach (var type in metadata.TypeDefinitions.Select(metadata.GetTypeDefinition))
                classes.TryAdd(NameOf(metadata, type), Describe(metadata, type));
        }
        return [.. classes.Values.Where(c => !c.Abstract).SelectMany(c => TestsOf(c, classes)).DistinctBy(t => (t.Name, string.Join(',', t.Traits)))];
    }

    private static IEnumerable<TestMethod> TestsOf(TestClass concrete, Dictionary<string, TestClass> classes)
    {
        var chain = new List<TestClass>();
        for (var c = concrete; c is not null; c = c.Base is null ? null : classes.GetValueOrDefault(c.Base))
            chain.Add(c);
        var inherited = chain.SelectMany(c => c.Traits).ToList();
        for (var declaring = 0; declaring < chain.Count; declaring++)
        {
            foreach (var (method, traits) in chain[declaring].Tests)
            {
                foreach (var known in chain.Take(declaring + 1))
                    yield return new TestMethod(known.Name, method, [.. traits, .. inherited]);
            }
        }
    }

    private static TestClass Describe(MetadataReader metadata, TypeDefinition type)
    {
        var tests = new List<(string, IReadOnlyList<(string, string)>)>();
        foreach (var method in type.GetMethods().Select(metadata.GetMethodDefinition))
        {
            if (method.GetCustomAttributes().Any(a => IsTest(AttributeName(metadata, a))))
                tests.Add((metadata.GetString(method.Name), Traits(metadata, method.GetCustomAttributes())));
        }
        return new TestClass(
            Simple(metadata.GetString(type.Name)), type.Attributes.HasFlag(System.Reflection.TypeAttributes.Abstract),
            BaseOf(metadata, type.BaseType), tests, Traits(metadata, type.GetCustomAttributes()));
    }

    private static bool IsTest(string attribute) =>
        attribute.EndsWith("FactAttribute", StringComparison.Ordinal) || attribute.EndsWith("TheoryAttribute", StringComparison.Ordinal);

    private static List<(string, string)> Traits(MetadataReader metadata, CustomAttributeHandleCollection attributes)
    {
        var traits = new List<(string, string)>();
        foreach (var handle in attributes.Where(a => AttributeName(metadata, a) == "TraitAttribute"))
        {
            var blob = metadata.GetBlobReader(metadata.GetCustomAttribute(handle).Value);
            blob.ReadUInt16(); // the prolog (ECMA-335 II.23.3)
            traits.Add((blob.ReadSerializedString()!, blob.ReadSerializedString()!));
        }
        return traits;
    }

    private static string AttributeName(MetadataReader metadata, CustomAttributeHandle handle)
    {
        var constructor = metadata.GetCustomAttribute(handle).Constructor;
        if (constructor.Kind == HandleKind.MethodDefinition)
        {
            var type = metadata.GetMethodDefinition((MethodDefinitionHandle)constructor).GetDeclaringType();
            return metadata.GetString(metadata.GetTypeDefinition(type).Name);
        }
        return metadata.GetMemberReference((MemberReferenceHandle)constructor).Parent is { Kind: HandleKind.TypeReference } parent
            ? metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)parent).Name)
            : "";
    }

    private static string? BaseOf(MetadataReader metadata, EntityHandle handle)
    {
        if (handle.IsNil)
            return null;
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition:
                return NameOf(metadata, metadata.GetTypeDefinition((TypeDefinitionHandle)handle));
            case HandleKind.TypeReference:
                var reference = metadata.GetTypeReference((TypeReferenceHandle)handle);
                return NameOf(metadata, reference.Namespace, reference.Name);
            default:
                // A generic base: GENERICINST, CLASS, then the type (ECMA-335 II.23.2.14).
                var blob = metadata.GetBlobReader(metadata.GetTypeSpecification((TypeSpecificationHandle)handle).Signature);
                return blob.ReadSignatureTypeCode() == SignatureTypeCode.GenericTypeInstance && blob.ReadByte() > 0
                    ? BaseOf(metadata, blob.ReadTypeHandle())
                    : null;
        }
    }

    private static string NameOf(MetadataReader metadata, TypeDefinition type)
    {
        var name = NameOf(metadata, type.Namespace, type.Name);
        return type.GetDeclaringType() is { IsNil: false } outer ? $"{NameOf(metadata, metadata.GetTypeDefinition(outer))}+{name}" : name;
    }

    private static string NameOf(MetadataReader metadata, StringHandle space, StringHandle name) =>
        $"{metadata.GetString(space)}.{metadata.GetString(name)}";

    private static string Simple(string name) => name.Split('`')[0];

    private sealed record TestClass(
        string Name, bool Abstract, string? Base, IReadOnlyList<(string Method, IReadOnlyList<(string, string)> Traits)> Tests,
        IReadOnlyList<(string, string)> Traits);
}
