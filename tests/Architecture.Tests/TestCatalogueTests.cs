using System.Reflection;
using System.Reflection.Emit;
using Architecture.Tests.Documents;
using McpAuth.Testing;

namespace Architecture.Tests;

public sealed class TestCatalogueTests : IDisposable
{
    private readonly TempDirectory directory = new();
    private readonly PersistedAssemblyBuilder assembly = new(new AssemblyName("Made"), typeof(object).Assembly);
    private readonly ModuleBuilder module;

    public TestCatalogueTests() => module = assembly.DefineDynamicModule("Made");

    [Fact]
    public void Catalogue_InheritedTest_HasBothNamesAndAllTraits()
    {
        var general = Class("Made.StorageTests", TypeAttributes.Abstract, null);
        general.DefineGenericParameters("T");
        general.SetCustomAttribute(Trait("Attack", "1"));
        Method(general, "Commit_Once_Stays", typeof(FactAttribute)).SetCustomAttribute(Trait("Attack", "2"));
        var closed = general.MakeGenericType(typeof(int));
        var concrete = Class("Made.SqliteTests", TypeAttributes.Sealed, closed);
        concrete.SetCustomAttribute(Trait("Attack", "3"));

        var tests = Read(general, concrete);
        Assert.Equal(["StorageTests.Commit_Once_Stays", "SqliteTests.Commit_Once_Stays"], tests.Select(t => t.Name).OrderDescending());
        Assert.All(tests, t => Assert.Equal([("Attack", "2"), ("Attack", "3"), ("Attack", "1")], t.Traits));
    }

    [Fact]
    public void Catalogue_WhatNeverRuns_IsNotListed()
    {
        var alone = Class("Made.AbstractTests", TypeAttributes.Abstract, null);
        Method(alone, "Nobody_Inherits_This", typeof(FactAttribute));
        var plain = Class("Made.PlainTests", TypeAttributes.Sealed, null);
        Method(plain, "No_Attribute", null);
        Method(plain, "Other_Attribute", typeof(ObsoleteAttribute));
        Method(plain, "A_Theory_Runs", typeof(TheoryAttribute));
        Assert.Equal(["PlainTests.A_Theory_Runs"], Read(alone, plain).Select(t => t.Name));
    }

    public void Dispose() => directory.Dispose();

    private TypeBuilder Class(string name, TypeAttributes attributes, Type? parent) =>
        module.DefineType(name, TypeAttributes.Public | attributes, parent ?? typeof(object));

    private static MethodBuilder Method(TypeBuilder type, string name, Type? attribute)
    {
        var method = type.DefineMethod(name, MethodAttributes.Public);
        method.GetILGenerator().Emit(OpCodes.Ret);
        if (attribute is not null)
            method.SetCustomAttribute(new CustomAttributeBuilder(attribute.GetConstructor([])!, []));
        return method;
    }

    private static CustomAttributeBuilder Trait(string name, string value) =>
        new(typeof(TraitAttribute).GetConstructor([typeof(string), typeof(string)])!, [name, value]);

    private IReadOnlyList<TestMethod> Read(params TypeBuilder[] types)
    {
        foreach (var type in types)
            type.CreateType();
        var path = directory["made.dll"];
        assembly.Save(path);
        return TestCatalogue.Read([path]);
    }
}
